#include "daemon_json.hpp"

#include <pipe/error.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace trust {
namespace {

using Json = nlohmann::ordered_json;
using pipes::sdk::Error;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // dockerd takes it, too

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

Json parse(std::string_view text, const std::string &file) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (is_blank(text)) return Json::object();  // as dockerd takes it
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error &error) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size()));
    throw Error(
        PIPE_E_INVALID,
        fmt::format("{}:{}: this is no JSON; it was broken before, and is left as it is", file,
                    1 + std::count(text.begin(), end, '\n')),
        fmt::format("correct it (dockerd --validate --config-file {} says more), then run again", file));
  }
  if (!json.is_object())
    throw Error(PIPE_E_INVALID, fmt::format("{} is no JSON object, and is left as it is", file),
                "it has to begin with { and end with }");
  return json;
}

const Json *list_of(const Json &json, std::string_view key, const std::string &file) {
  const auto found = json.find(std::string(key));
  if (found == json.end()) return nullptr;
  if (!found->is_array())
    throw Error(PIPE_E_INVALID, fmt::format("{}: \"{}\" is no list, and is left as it is", file, key),
                fmt::format("write it as \"{}\": [\"…\"]", key));
  return &*found;
}

/// dockerd writes mirrors with a slash at the end, people without.
bool same(const Json &item, const std::string &entry) {
  if (!item.is_string()) return false;
  std::string text = item.get<std::string>();
  while (text.ends_with('/')) text.pop_back();
  return text == entry;
}

bool contains(const Json &json, const Setting &setting, const std::string &file) {
  const Json *list = list_of(json, setting.key, file);
  return list != nullptr &&
         std::ranges::any_of(*list, [&](const Json &item) { return same(item, setting.entry); });
}

/// As the file had it: the blanks before its first key.
std::string print(const Json &json, std::string_view like) {
  int width = 2;
  char blank = ' ';
  if (const auto quote = like.find('"'), line = like.rfind('\n', quote);
      quote != std::string_view::npos && line != std::string_view::npos && quote > line + 1) {
    width = static_cast<int>(quote - line - 1);
    blank = like[line + 1];
  }
  return json.dump(width, blank) + "\n";
}

}  // namespace

std::string with_settings(const std::optional<std::string> &text, const std::string &file,
                          const std::vector<Setting> &settings) {
  Json json = parse(text.value_or(std::string()), file);
  bool changed = false;
  for (const Setting &setting : settings) {
    if (contains(json, setting, file)) continue;
    json[std::string(setting.key)].push_back(setting.entry);
    changed = true;
  }
  return changed ? print(json, text.value_or(std::string())) : text.value_or(std::string());
}

std::string without_settings(const std::string &text, const std::string &file,
                             const std::vector<Setting> &settings, EmptyLists empty) {
  Json json = parse(text, file);
  bool changed = false;
  for (const Setting &setting : settings) {
    if (!contains(json, setting, file)) continue;
    Json &list = json[std::string(setting.key)];
    list.erase(
        std::remove_if(list.begin(), list.end(), [&](const Json &item) { return same(item, setting.entry); }),
        list.end());
    if (list.empty() && empty == EmptyLists::go) json.erase(std::string(setting.key));
    changed = true;
  }
  return changed ? print(json, text) : text;
}

bool has_setting(const std::optional<std::string> &text, const std::string &file, const Setting &setting) {
  return text && contains(parse(*text, file), setting, file);
}

bool says_nothing(const std::string &text) {
  return is_blank(text) || Json::parse(text, nullptr, false).empty();
}

}  // namespace trust
