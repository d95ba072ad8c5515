#pragma once
#include <memory>
#include <string>
#include <string_view>

namespace pipes {

/// A regular expression in Perl's syntax, compiled once. One that would need too much backtracking on
/// some text does not match it.
class Pattern {
 public:
  /// Throws pipes::Error{Exit::invalid} that says what is wrong with it.
  explicit Pattern(std::string_view text);
  ~Pattern();
  Pattern(const Pattern &) = delete;
  Pattern &operator=(const Pattern &) = delete;

  bool matches_whole(std::string_view text) const;
  bool occurs_in(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace pipes
