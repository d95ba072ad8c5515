#pragma once
// JSON from strangers. For .cpp files of this folder only.
#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

using Json = nlohmann::ordered_json;

/// A JSON document, or what is wrong with it. Refuses what two readers could understand differently:
/// a key twice in one object, bytes after the end; and what is made to exhaust one: nesting beyond 32,
/// more than 1024 keys in one object.
struct ParsedJson {
  Json value;
  std::string problem;  // empty: fine
};
ParsedJson parse_json(std::string_view text);

/// The text of a member; empty where there is none. nullopt: it is there, but no string.
std::optional<std::string> text_member(const Json &object, std::string_view key);

}  // namespace pipes::oci
