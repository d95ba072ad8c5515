#pragma once
#include <nlohmann/json_fwd.hpp>

#include <string>

namespace config {

/// YAML in block style. Every text is quoted, so that no parser takes one for something else ("0123", "no",
/// "1e3").
std::string to_yaml(const nlohmann::ordered_json &);

}  // namespace config
