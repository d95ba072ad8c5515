#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/naming.hpp>

#include "descriptor.hpp"

namespace pipes::oci {
namespace {

Json to_json(const std::optional<Descriptor> &image) {
  return image ? write_descriptor(*image) : Json();
}

std::optional<Descriptor> from_json(const Json &json) {
  if (json.is_null()) return std::nullopt;
  return read_descriptor(json);
}

}  // namespace

std::string store_name(std::string_view text) {
  const ImageName name = ImageName::parse(text);
  if (name.kind != ImageName::Kind::registry)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is a place, not a name for an image of the store", text),
                     "give it a name such as localhost:5000/app:1; push writes images to other places");
  if (name.reference.digest)
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("the name {} has a digest, which an image has by itself", text),
                     "leave @sha256:… out");
  return name.reference.str();
}

std::string NameChange::str() const {
  return Json{{"before", to_json(before)}, {"after", to_json(after)}}.dump();
}

std::optional<NameChange> NameChange::parse(std::string_view text) {
  const ParsedJson parsed = parse_json(text);
  if (!parsed.value.is_object() || !parsed.value.contains("before") || !parsed.value.contains("after"))
    return std::nullopt;
  return NameChange{from_json(parsed.value["before"]), from_json(parsed.value["after"])};
}

bool NameChange::take_back(std::string_view name, Store &store) const {
  const std::optional<Descriptor> now = store.resolve(name);
  if (now.has_value() != after.has_value() || (now && now->digest != after->digest)) return false;
  if (!before || !store.has(*before)) return store.untag(name);
  store.tag(name, *before);
  return true;
}

}  // namespace pipes::oci
