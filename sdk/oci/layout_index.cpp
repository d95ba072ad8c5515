#include "layout_index.hpp"

#include <pipe/error.hpp>

#include <fmt/core.h>

#include "descriptor.hpp"

namespace pipes::oci {

Json parse_index(std::string_view bytes, std::string_view where) {
  ParsedJson parsed = parse_json(bytes);
  std::string problem = std::move(parsed.problem);
  if (problem.empty()) {
    const auto list = parsed.value.is_object() ? parsed.value.find("manifests") : parsed.value.end();
    if (!parsed.value.is_object() || list == parsed.value.end() || !list->is_array())
      problem = "it has no list of manifests";
  }
  if (!problem.empty())
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("{} is no index of an OCI image layout: {}", where, problem));
  return std::move(parsed.value);
}

std::string entry_name(const Json &entry) {
  if (!entry.is_object()) return {};
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return {};
  return text_member(*annotations, kRefName).value_or("");
}

StoredImage read_entry(const Json &entry, std::string_view where) {
  try {
    StoredImage image{entry_name(entry), read_descriptor(entry)};
    image.descriptor.annotations.erase(std::string(kRefName));
    return image;
  } catch (const sdk::Error &error) {
    throw sdk::Error(PIPE_E_INVALID, fmt::format("an entry of {} is broken: {}", where, error.message));
  }
}

Json write_entry(const StoredImage &image) {
  Descriptor named = image.descriptor;
  if (!image.name.empty()) named.annotations[std::string(kRefName)] = image.name;
  return write_descriptor(named);
}

}  // namespace pipes::oci
