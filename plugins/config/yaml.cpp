#include "yaml.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace config {
namespace {

using Json = nlohmann::ordered_json;

bool is_plain_key(const std::string &key) {
  return !key.empty() &&
         std::ranges::all_of(key, [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; }) &&
         std::isalpha(static_cast<unsigned char>(key.front()));
}

/// A JSON scalar is a YAML one (YAML 1.2, section 1.3); keys of words need no quotes.
std::string key_text(const std::string &key) {
  constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  std::string lower = key;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool word = std::ranges::find(kWords, lower) != std::end(kWords);
  return is_plain_key(key) && !word ? key : Json(key).dump();
}

void write(std::string &out, const Json &value, std::size_t indent);

void write_member(std::string &out, const Json &value, std::size_t indent) {
  if (!value.is_structured()) {
    out += " " + value.dump() + "\n";
  } else if (value.empty()) {
    out += value.is_array() ? " []\n" : " {}\n";
  } else {
    out += "\n";
    write(out, value, indent + 2);
  }
}

void write(std::string &out, const Json &value, std::size_t indent) {
  const std::string margin(indent, ' ');
  for (const auto &item : value.items()) {
    if (value.is_object()) {
      out += margin + key_text(item.key()) + ":";
      write_member(out, item.value(), indent);
    } else if (item.value().is_structured() && !item.value().empty()) {
      std::string inner;
      write(inner, item.value(), indent + 2);
      out += margin + "- " + inner.substr(indent + 2);
    } else {
      out += margin + "-";
      write_member(out, item.value(), indent);
    }
  }
}

}  // namespace

std::string to_yaml(const Json &value) {
  std::string out;
  write(out, value, 0);
  return out;
}

}  // namespace config
