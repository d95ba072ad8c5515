#pragma once
// Text as a terminal shows it, column by column.
#include <cstddef>
#include <string>
#include <string_view>

namespace pipes {

/// Without escape sequences, control characters and what turns the direction of writing, so that nothing a
/// plugin prints can take over the terminal. Tabs become spaces; line ends stay; what is no UTF-8 becomes
/// U+FFFD.
std::string printable(std::string_view);
/// How many columns of a terminal it takes: two for a character that is wide there (CJK, emoji), none for one
/// that is drawn onto the one before it.
std::size_t width(std::string_view);
/// At most `columns` wide, with an ellipsis where it was cut.
std::string fit(std::string_view, std::size_t columns);
/// With spaces behind it, up to `columns`.
std::string padded(std::string_view, std::size_t columns);
/// Up to the first line end.
std::string_view first_line(std::string_view);
/// The words of one paragraph in lines of at most `columns`, each but the first behind `indent` spaces; the
/// first begins at that column, too.
std::string wrapped(std::string_view, std::size_t columns, std::size_t indent = 0);

}  // namespace pipes
