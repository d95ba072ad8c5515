#pragma once
// JSON from strangers. For .cpp files of this folder only.
#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

using Json = nlohmann::ordered_json;

/// A JSON document, or what is wrong with it. Refuses what two readers could understand differently:
/// a key twice in one object, nesting beyond 32, bytes after the end.
struct ParsedJson {
  Json value;
  std::string problem;  // empty: fine
};
ParsedJson parse_json(std::string_view text);

/// The text of a member; empty where there is none. nullopt: it is there, but no string.
std::optional<std::string> text_member(const Json &object, std::string_view key);

}  // namespace pipes::oci
