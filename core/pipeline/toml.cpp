#include "core/pipeline/tree.hpp"

#include <fmt/core.h>

#include <toml++/toml.h>
#include <algorithm>
#include <iterator>
#include <optional>
#include <sstream>

namespace pipes {
namespace {

constexpr int kMaxDepth = 64;
/// toml++ recurses on the parts of a dotted key, so that a long one would overflow the stack.
constexpr int kMaxKeyParts = 1000;
constexpr int kStepsInPart = 64;

Spot to_spot(const toml::source_region &region, std::uint32_t lines = 0) {
  Spot spot{region.begin.line + lines, region.begin.column, 1, region.end.line + lines};
  if (region.end.line == region.begin.line && region.end.column > region.begin.column) {
    spot.length = region.end.column - region.begin.column;
  }
  return spot;
}

class Converter {
 public:
  /// `lines`: how many stand in the file before the text that was parsed.
  Converter(const Source &source, std::uint32_t lines) : source_(source), lines_(lines) {}

  Tree convert(const toml::node &node) {
    Tree tree;
    tree.spot = to_spot(node.source(), lines_);
    if (++depth_ > kMaxDepth) {
      throw diagnose(source_, tree.spot, "toml",
                     fmt::format("this is nested deeper than {} levels", kMaxDepth));
    }
    if (const toml::table *table = node.as_table()) {
      map(*table, tree);
    } else if (const toml::array *array = node.as_array()) {
      tree.kind = Tree::Kind::list;
      tree.items.reserve(array->size());
      for (const toml::node &item : *array) tree.items.push_back(convert(item));
    } else if (const auto *text = node.as_string()) {
      tree.scalar = text->get();
    } else if (const auto *whole = node.as_integer()) {
      tree.scalar = whole->get();
    } else if (const auto *real = node.as_floating_point()) {
      tree.scalar = real->get();
    } else if (const auto *flag = node.as_boolean()) {
      tree.scalar = flag->get();
    } else {
      tree.scalar = date(node);
    }
    --depth_;
    return tree;
  }

 private:
  /// toml++ sorts a table by its keys; people read it in the order they wrote it.
  void map(const toml::table &table, Tree &tree) {
    tree.kind = Tree::Kind::map;
    std::vector<std::pair<const toml::key *, const toml::node *>> members;
    members.reserve(table.size());
    for (const auto &[key, node] : table) members.emplace_back(&key, &node);
    const auto place = [](const auto &member) {
      const toml::source_position &at = member.first->source().begin;
      return std::pair(at.line, at.column);
    };
    std::sort(members.begin(), members.end(),
              [&](const auto &a, const auto &b) { return place(a) < place(b); });
    tree.keys.reserve(members.size());
    tree.items.reserve(members.size());
    for (const auto &[key, node] : members) {
      tree.keys.push_back({std::string(key->str()), to_spot(key->source(), lines_)});
      tree.items.push_back(convert(*node));
    }
  }

  /// A date is the text that it reads as: no parameter has such a type.
  static Value date(const toml::node &node) {
    std::ostringstream out;
    if (const auto *day = node.as_date()) out << day->get();
    if (const auto *time = node.as_time()) out << time->get();
    if (const auto *both = node.as_date_time()) out << both->get();
    return out.str();
  }

  const Source &source_;
  std::uint32_t lines_;
  int depth_ = 0;
};

/// Finds the lines that begin a [[step]] or [[finally]], past strings, comments and arrays.
class HeaderScanner {
 public:
  explicit HeaderScanner(std::string_view text) : text_(text) {}

  /// Where the next such line begins, or npos. `line()` is its number from 0.
  std::size_t next() {
    while (at_ < text_.size()) {
      const std::size_t begin = at_;
      line_ = next_line_;
      const bool is_header = brackets_ == 0 && (starts("[[step]]") || starts("[[finally]]"));
      skip_line(brackets_ == 0 && starts("["));
      if (is_header) return begin;
    }
    return std::string_view::npos;
  }
  std::uint32_t line() const { return line_; }

 private:
  bool starts(std::string_view with) const { return text_.substr(at_, with.size()) == with; }

  void skip_line(bool is_table_header) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        ++at_;
        ++next_line_;
        return;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == '"' || c == '\'') {
        skip_string(c);
      } else {
        if (!is_table_header && (c == '[' || c == '{')) ++brackets_;
        if (!is_table_header && (c == ']' || c == '}') && brackets_ > 0) --brackets_;
        ++at_;
      }
    }
  }

  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool is_multiline = starts(three);
    at_ += is_multiline ? 3 : 1;
    while (at_ < text_.size()) {
      if (text_[at_] == '\n') {
        if (!is_multiline) return;
        ++next_line_;
      }
      if (text_[at_] == '\\' && quote == '"') {
        ++at_;
        if (at_ < text_.size() && text_[at_] == '\n') ++next_line_;
      } else if (is_multiline ? starts(three) : text_[at_] == quote) {
        at_ += is_multiline ? 3 : 1;
        while (is_multiline && at_ < text_.size() && text_[at_] == quote) ++at_;
        return;
      }
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 0, next_line_ = 0;
  int brackets_ = 0;
};

/// Adds what a later part of the file holds; false: only the whole file can tell what it means.
bool append(Tree &document, Tree part) {
  for (std::size_t i = 0; i < part.items.size(); ++i) {
    Tree &item = part.items[i];
    const bool is_steps =
        item.kind == Tree::Kind::list && (part.keys[i].name == "step" || part.keys[i].name == "finally");
    const auto same = std::find_if(document.keys.begin(), document.keys.end(),
                                   [&](const Tree::Key &key) { return key.name == part.keys[i].name; });
    if (same == document.keys.end()) {
      document.keys.push_back(std::move(part.keys[i]));
      document.items.push_back(std::move(item));
      continue;
    }
    Tree &known = document.items[static_cast<std::size_t>(same - document.keys.begin())];
    if (!is_steps || known.kind != Tree::Kind::list) return false;
    std::move(item.items.begin(), item.items.end(), std::back_inserter(known.items));
  }
  return true;
}

/// toml++ looks through all dotted keys of a text at each of them, and keeps ten times the text in
/// memory: long files are parsed in parts that begin at a [[step]]. nullopt: that does not work out, be
/// it for a mistake, and the whole has to be parsed.
std::optional<Tree> read_in_parts(const Source &source) {
  const std::string_view text = source.text();
  HeaderScanner scanner(text);
  Tree document;
  document.kind = Tree::Kind::map;
  std::size_t begin = 0;
  std::uint32_t lines = 0;
  try {
    for (int steps = 0; begin < text.size();) {
      const std::size_t header = scanner.next();
      if (header != std::string_view::npos && ++steps <= kStepsInPart) continue;
      steps = 1;
      const std::size_t end = std::min(header, text.size());
      const toml::table table = toml::parse(text.substr(begin, end - begin));
      Tree part = Converter(source, lines).convert(table);
      if (begin == 0) {
        document = std::move(part);
      } else if (!append(document, std::move(part))) {
        return std::nullopt;
      }
      begin = end;
      lines = scanner.line();
    }
  } catch (const toml::parse_error &) {
    return std::nullopt;
  }
  return document;
}

/// The place of the first key with too many parts, or a line of 0.
Spot overlong_key(std::string_view text) {
  Spot spot{1, 1, 1, 1};
  int parts = 0;
  char before = '\n';
  for (char c : text) {
    const bool is_part = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                         c == '_' || c == '-' || c == '"' || c == '\'' || c == ' ' || c == '\t';
    if (c == '.' && before != '.') {
      if (++parts > kMaxKeyParts) return spot;
    } else if (!is_part) {
      parts = 0;
    }
    if (c == '\n') ++spot.line;
    before = c;
  }
  spot.line = 0;
  return spot;
}

bool has_control_character(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return std::ranges::any_of(line, [](char c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7F; });
}

/// What toml++ says of a line, in words for someone who does not know TOML's grammar.
std::pair<std::string, std::string> explain(std::string_view said, std::string_view line) {
  constexpr std::string_view kPrefix = "Error while parsing ";
  std::string where, what(said);
  if (said.starts_with(kPrefix)) {
    const std::size_t colon = said.find(": ");
    if (colon != std::string_view::npos) {
      where = said.substr(kPrefix.size(), colon - kPrefix.size());
      what = said.substr(colon + 2);
    }
  }
  const auto says = [&](std::string_view part) { return said.find(part) != std::string_view::npos; };
  std::string help;
  if (says("could not determine value type") || (where == "boolean")) {
    help = "text needs quotes: key = \"text\"";
  } else if (where == "string" && says("control characters") && has_control_character(line)) {
    what = "this text has a control character in it";
    help = "write it by its number: \"\\u001B\" is the escape character";
  } else if (where == "string" && says("control characters")) {
    what = "this text has no closing quote on its line";
    help = "close it, or use \"\"\" for text of several lines";
  } else if (where == "string" && says("escape")) {
    help = "between single quotes, '…', a backslash is just a backslash";
  } else if (where == "inline table" && says("'\\n'")) {
    what = "a table in braces ends on the line where it begins";
    help = "write dotted keys (with.image = …, with.env.A = …), or put it on one line";
  }
  if (!what.empty() && what.front() >= 'A' && what.front() <= 'Z') {
    what.front() = static_cast<char>(what.front() - 'A' + 'a');
  }
  return {what, help};
}

/// A mistake in a line that seems to hold a secret must not bring the line on the screen.
bool seems_secret(std::string_view line) {
  std::string lower(line);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::string_view words[] = {"pass", "secret", "token", "credential", "api_key", "apikey", "auth"};
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

}  // namespace

Tree read_toml(const Source &source) {
  if (const Spot spot = overlong_key(source.text()); spot.line != 0) {
    throw diagnose(source, spot, "toml", fmt::format("this key has more than {} parts", kMaxKeyParts));
  }
  if (std::optional<Tree> document = read_in_parts(source)) return std::move(*document);
  try {
    return Converter(source, 0).convert(toml::parse(source.text(), std::string_view(source.path())));
  } catch (const toml::parse_error &e) {
    const Spot spot = to_spot(e.source());
    const auto [message, help] = explain(e.description(), source.line(spot.line));
    Diagnostic diagnostic = diagnose(source, spot, "toml", "invalid TOML: " + message);
    diagnostic.help = help;
    diagnostic.hide_line = seems_secret(source.line(spot.line));
    throw diagnostic;
  }
}

}  // namespace pipes
