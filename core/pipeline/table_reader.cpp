#include "core/pipeline/table_reader.hpp"

#include "core/base/words.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

bool is_name(std::string_view text) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !text.empty() && text.front() != '-' && !(text.front() >= '0' && text.front() <= '9') &&
         std::all_of(text.begin(), text.end(), is_part);
}

}  // namespace

Param make_param(std::string name, Type type, std::optional<std::int64_t> minimum) {
  Param param;
  param.name = std::move(name);
  param.type = type;
  param.minimum = minimum;
  return param;
}

Tree *member(Tree &map, std::string_view key) {
  return const_cast<Tree *>(map.find(key));
}

Diagnostic &TableReader::report(const Spot &spot, std::string id, std::string message) {
  diagnostics.push_back(diagnose(source, spot, std::move(id), std::move(message)));
  return diagnostics.back();
}

void TableReader::check_keys(const Tree &map, std::string_view where, const std::vector<std::string> &allowed,
                             UnknownKey what) {
  for (const Tree::Key &key : map.keys) {
    if (std::find(allowed.begin(), allowed.end(), key.name) != allowed.end()) continue;
    Diagnostic &d = report(key.spot, "unknown-key", fmt::format("{} has no key `{}`", where, key.name));
    d.label = "not known here";
    d.notes.push_back("keys are: " + joined(allowed));
    d.help = did_you_mean(key.name, allowed);
    d.hide_line = what.hides_line;
    if (d.help.empty() && !what.help.empty()) d.help = fmt::format(fmt::runtime(what.help), key.name);
  }
}

Tree *TableReader::table(Tree &map, std::string_view key, std::string_view written) {
  Tree *found = member(map, key);
  if (found == nullptr || found->kind == Tree::Kind::map) return found;
  report(found->spot, "wrong-type",
         fmt::format("`{}` is a table, not {}", key, with_article(std::string(found->kind_name()))))
      .help = fmt::format("write {}", written);
  return nullptr;
}

std::string TableReader::text(const Tree &map, std::string_view key) {
  const Tree *found = map.find(key);
  if (found == nullptr) return {};
  if (!found->is_string()) {
    report(found->spot, "wrong-type",
           fmt::format("`{}` takes a string, not {}", key, with_article(std::string(found->kind_name()))));
    return {};
  }
  if (has_template(found->scalar.as_string())) {
    report(found->spot, "no-template", fmt::format("`{}` is fixed: ${{…}} cannot stand here", key));
    return {};
  }
  return found->scalar.as_string();
}

std::vector<std::string> TableReader::texts(const Tree &list, std::string_view key) {
  std::vector<std::string> result;
  if (list.is_string()) return {list.scalar.as_string()};
  const auto is_text = [](const Tree &item) { return item.is_string(); };
  if (list.kind != Tree::Kind::list || !std::all_of(list.items.begin(), list.items.end(), is_text)) {
    report(list.spot, "wrong-type", fmt::format("`{}` takes a list of strings", key));
    return result;
  }
  for (const Tree &item : list.items) result.push_back(item.scalar.as_string());
  return result;
}

std::optional<Value> TableReader::field(const Tree &map, const Param &param) {
  const Tree *found = map.find(param.name);
  if (found == nullptr) return std::nullopt;
  Value value = to_value(*found);
  const std::string problem = coerce(param, value);
  if (problem.empty()) return value;
  report(found->spot, "wrong-value", fmt::format("`{}` {}", param.name, problem));
  return std::nullopt;
}

bool TableReader::check_name(const Spot &spot, std::string_view what, const std::string &name) {
  if (is_name(name)) return true;
  report(spot, "bad-name", fmt::format("`{}` is no name for a {}", name, what)).help =
      "names are letters, digits, `-` and `_`, and begin with a letter or `_`";
  return false;
}

}  // namespace pipes
