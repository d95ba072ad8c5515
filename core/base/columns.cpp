#include "core/base/columns.hpp"

#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <optional>

namespace pipes {
namespace {

/// A character of UTF-8: how long it is, and what it is. `bytes` is 1 and `code` nothing where there is none.
struct Character {
  std::size_t bytes = 1;
  std::optional<char32_t> code{};
};

Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {1, first};
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + bytes > text.size()) return {};
  char32_t code = first & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return {};
    code = code << 6U | (byte(at + i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kLeast.at(bytes) || code > 0x10FFFF || is_surrogate) return {};
  return {bytes, code};
}

/// By the tables of the C library, whatever the locale of the environment is.
std::size_t columns_of(std::optional<char32_t> code) {
  if (!code || *code < 0x80) return 1;
  static const locale_t unicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (unicode == nullptr) return 1;
  // A selector that makes a symbol a picture widens it on some terminals.
  constexpr char32_t kAsPicture = 0xFE0F;
  if (*code == kAsPicture) return 1;
  const locale_t before = ::uselocale(unicode);
  const int columns = ::wcwidth(static_cast<wchar_t>(*code));
  ::uselocale(before);
  return static_cast<std::size_t>(std::max(columns, 0));
}

/// Controls beyond ASCII (some terminals obey them), and what turns the direction of writing.
bool is_control(char32_t code) {
  return (code >= 0x80 && code < 0xA0) || code == 0x2028 || code == 0x2029 || code == 0x61C ||
         code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

/// Where an escape sequence that starts at `at` ends.
std::size_t skip_escape(std::string_view text, std::size_t at) {
  if (at + 1 >= text.size()) return text.size();
  const char kind = text[at + 1];
  std::size_t i = at + 2;
  if (kind == '[') {
    while (i < text.size() && (text[i] < '@' || text[i] > '~')) ++i;
    return std::min(i + 1, text.size());
  }
  // Strings for the terminal (titles, links): up to BEL or ESC backslash.
  if (kind == ']' || kind == 'P' || kind == '_' || kind == '^') {
    while (i < text.size() && text[i] != '\a' && text[i] != '\x1b') ++i;
    if (i < text.size() && text[i] == '\x1b') ++i;
    return std::min(i + 1, text.size());
  }
  return i;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == 0x1b) {
      i = skip_escape(text, i);
      continue;
    }
    if (c >= 0x80) {
      const Character character = character_at(text, i);
      if (!character.code) {
        out += "\xEF\xBF\xBD";
      } else if (!is_control(*character.code)) {
        out += text.substr(i, character.bytes);
      }
      i += character.bytes;
      continue;
    }
    if (c == '\t') {
      out += "    ";
    } else if (c == '\n' || (c >= 0x20 && c != 0x7f)) {
      out.push_back(text[i]);
    }
    ++i;
  }
  return out;
}

std::size_t width(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    columns += columns_of(character.code);
    at += character.bytes;
  }
  return columns;
}

std::string fit(std::string_view text, std::size_t columns) {
  if (text.size() <= columns || width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::size_t taken = 0, end = 0;
  while (end < text.size()) {
    const Character character = character_at(text, end);
    taken += columns_of(character.code);
    if (taken >= columns) break;  // the last column is for the ellipsis
    end += character.bytes;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string padded(std::string_view text, std::size_t columns) {
  return std::string(text) + std::string(columns - std::min(columns, width(text)), ' ');
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent) {
  std::string out;
  for (std::size_t used = indent; !text.empty();) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    if (out.empty()) {
      used += width(word);
    } else if (used + 1 + width(word) <= columns) {
      out += ' ';
      used += 1 + width(word);
    } else {
      out += '\n' + std::string(indent, ' ');
      used = indent + width(word);
    }
    out += word;
  }
  return out;
}

}  // namespace pipes
