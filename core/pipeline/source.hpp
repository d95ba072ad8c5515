#pragma once
#include "core/base/diagnostic.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// A place in a file that is known from elsewhere. Columns count code points from 1.
struct Spot {
  std::uint32_t line = 0, column = 0, length = 1;
  std::uint32_t last_line = 0;
};

/// The text of a file, for places in it.
class Source {
 public:
  Source() = default;
  Source(std::string path, std::string text);
  /// Throws pipes::Error{Exit::invalid}: missing, a folder, too large …
  static Source read(const std::string &path);

  const std::string &path() const { return path_; }
  const std::string &text() const { return text_; }
  Place place(const Spot &) const;
  /// Without its newline; empty if there is no such line.
  std::string_view line(std::uint32_t number) const;
  /// The place of bytes [begin, end) of a TOML string's value, where `string` is the place of the
  /// string with its quotes: escapes, line ends and trimmed newlines are counted as they are written.
  Spot inside(const Spot &string, std::size_t begin, std::size_t end) const;

 private:
  std::size_t offset(std::uint32_t line, std::uint32_t column) const;

  std::string path_, text_;
  std::vector<std::size_t> lines_;  // where each begins
};

}  // namespace pipes
