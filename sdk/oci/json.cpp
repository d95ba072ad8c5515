#include "json.hpp"

#include <set>
#include <vector>

#include <fmt/core.h>

namespace pipes::oci {
namespace {
constexpr int kMaxDepth = 32;
}

ParsedJson parse_json(std::string_view text) {
  std::string problem;
  std::vector<std::set<std::string>> keys;  // of each object that is open
  const auto watch = [&](int depth, Json::parse_event_t event, Json &value) {
    if (depth > kMaxDepth) problem = "it is nested too deeply";
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const std::string &key = value.get_ref<const std::string &>();
      if (!keys.back().insert(key).second)
        problem = fmt::format("it has the key \"{}\" twice", key.substr(0, 64));
    }
    return problem.empty();  // false: what follows is read, but not kept
  };
  Json value = Json::parse(text, watch, false);
  if (problem.empty() && value.is_discarded()) problem = "it is not JSON";
  if (!problem.empty()) return {{}, std::move(problem)};
  return {std::move(value), {}};
}

std::optional<std::string> text_member(const Json &object, std::string_view key) {
  const auto found = object.find(std::string(key));
  if (found == object.end()) return std::string();
  if (!found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

}  // namespace pipes::oci
