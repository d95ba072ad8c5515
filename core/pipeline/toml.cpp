#include "core/pipeline/tree.hpp"

#include <fmt/core.h>

#include <toml++/toml.h>
#include <algorithm>
#include <sstream>

namespace pipes {
namespace {

constexpr int kMaxDepth = 64;
/// toml++ recurses on the parts of a dotted key, so that a long one would overflow the stack.
constexpr int kMaxKeyParts = 1000;

Spot to_spot(const toml::source_region &region) {
  Spot spot{region.begin.line, region.begin.column, 1, region.end.line};
  if (region.end.line == region.begin.line && region.end.column > region.begin.column) {
    spot.length = region.end.column - region.begin.column;
  }
  return spot;
}

class Converter {
 public:
  explicit Converter(const Source &source) : source_(source) {}

  Tree convert(const toml::node &node) {
    Tree tree;
    tree.spot = to_spot(node.source());
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
      tree.keys.push_back({std::string(key->str()), to_spot(key->source())});
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
  int depth_ = 0;
};

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

/// What toml++ says, in words for someone who does not know TOML's grammar.
std::pair<std::string, std::string> explain(std::string_view said) {
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
  try {
    return Converter(source).convert(toml::parse(source.text(), std::string_view(source.path())));
  } catch (const toml::parse_error &e) {
    const auto [message, help] = explain(e.description());
    const Spot spot = to_spot(e.source());
    Diagnostic diagnostic = diagnose(source, spot, "toml", "invalid TOML: " + message);
    diagnostic.help = help;
    diagnostic.hide_line = seems_secret(source.line(spot.line));
    throw diagnostic;
  }
}

}  // namespace pipes
