#pragma once
// What says of a tag whether it is wanted.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// One tag (`3.20`), a glob (`3.*`), a regular expression that occurs in the tag (`/^3\.\d+$/`) or a range of
/// versions (`>=3.18 <4`, `^3.18`, `~3.18`, `3.x`).
class TagPattern {
 public:
  /// Throws sdk::Error{PIPE_E_INVALID}.
  static TagPattern parse(std::string_view text);

  /// Tags that belong to another image (is_attached_tag) match nothing but themselves.
  bool matches(const std::string &tag) const;
  /// It names one tag, so nobody has to ask which there are.
  bool is_literal() const { return kind_ == Kind::literal; }
  const std::string &text() const { return text_; }

 private:
  enum class Kind { literal, glob, regex, range };
  struct Compiled;

  Kind kind_ = Kind::literal;
  std::string text_;
  std::shared_ptr<const Compiled> compiled_;  // regex, range; copies share it: it never changes
};

/// `*` is any text, `?` any character.
bool glob_matches(std::string_view glob, std::string_view text);

/// Newest first: by version; what is no version comes behind those that are, in natural order (9 before 10).
void sort_newest_first(std::vector<std::string> &tags);

}  // namespace pipes::oci
