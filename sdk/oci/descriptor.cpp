#include "descriptor.hpp"

#include <pipe/error.hpp>

#include <fmt/core.h>

namespace pipes::oci {
namespace {

/// No blob is larger than this; a sum of as many as a manifest may have stays below 2^64.
constexpr std::uint64_t kMaxBlobSize = std::uint64_t{1} << 50;

[[noreturn]] void bad(std::string why) {
  throw sdk::Error(PIPE_E_INVALID, std::move(why));
}

std::string text(const Json &object, std::string_view key) {
  std::optional<std::string> value = text_member(object, key);
  if (!value) bad(fmt::format("\"{}\" of a descriptor is no string", key));
  return *std::move(value);
}

Platform read_platform(const Json &json) {
  if (!json.is_object()) bad("the platform of a descriptor is no object");
  return {text(json, "os"), text(json, "architecture"), text(json, "variant")};
}

}  // namespace

Descriptor read_descriptor(const Json &json) {
  if (!json.is_object()) bad("a descriptor is no object");
  Descriptor result;
  result.media_type = text(json, "mediaType");
  if (result.media_type.empty()) bad("a descriptor has no mediaType");
  result.digest = Digest::parse(text(json, "digest"));
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_unsigned())
    bad(fmt::format("the size of {} is no number of bytes", result.digest.brief()));
  result.size = size->get<std::uint64_t>();
  if (result.size > kMaxBlobSize) bad(fmt::format("the size of {} can't be true", result.digest.brief()));
  result.artifact_type = text(json, "artifactType");
  if (const auto platform = json.find("platform"); platform != json.end() && !platform->is_null())
    result.platform = read_platform(*platform);
  if (const auto annotations = json.find("annotations");
      annotations != json.end() && !annotations->is_null()) {
    if (!annotations->is_object()) bad("the annotations of a descriptor are no object");
    for (const auto &[key, value] : annotations->items()) result.annotations[key] = text(*annotations, key);
  }
  if (const auto urls = json.find("urls"); urls != json.end() && !urls->is_null()) {
    if (!urls->is_array()) bad("the urls of a descriptor are no list");
    for (const Json &url : *urls) {
      if (!url.is_string()) bad("a URL of a descriptor is no string");
      result.urls.push_back(url.get<std::string>());
    }
  }
  return result;
}

Json write_descriptor(const Descriptor &descriptor) {
  Json json = {
      {"mediaType", descriptor.media_type}, {"digest", descriptor.digest.str()}, {"size", descriptor.size}};
  if (!descriptor.urls.empty()) json["urls"] = descriptor.urls;
  if (!descriptor.annotations.empty()) json["annotations"] = descriptor.annotations;
  if (!descriptor.artifact_type.empty()) json["artifactType"] = descriptor.artifact_type;
  if (descriptor.platform) {
    Json platform = {{"architecture", descriptor.platform->architecture}, {"os", descriptor.platform->os}};
    if (!descriptor.platform->variant.empty()) platform["variant"] = descriptor.platform->variant;
    json["platform"] = std::move(platform);
  }
  return json;
}

}  // namespace pipes::oci
