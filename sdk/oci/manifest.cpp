#include <pipe/error.hpp>
#include <pipe/oci/inspect.hpp>
#include <pipe/oci/manifest.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "descriptor.hpp"

namespace pipes::oci {
namespace {

/// More layers than any engine can mount, more platforms than there are.
constexpr std::size_t kMaxEntries = 4096;
constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view kSchema1 = "application/vnd.docker.distribution.manifest.v1+";
/// What servers that do not know better say of any JSON.
constexpr std::array<std::string_view, 4> kVagueTypes{"", "application/json", "application/octet-stream",
                                                      "text/plain"};

[[noreturn]] void bad(const std::string &why, std::string hint = {}) {
  throw sdk::Error(PIPE_E_INVALID, "bad manifest: " + why, std::move(hint));
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char &c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

/// A media type without parameters, in lower case.
std::string bare_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.front() == ' ') type.remove_prefix(1);
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return lower(type);
}

bool is_index_type(std::string_view type) {
  return type == kOciIndex || type == kDockerList;
}
bool is_manifest_type(std::string_view type) {
  return type == kOciManifest || type == kDockerManifest;
}

/// Go's decoder takes "Layers" for "layers": such a document would be two things to two readers.
void refuse_other_spellings(const Json &json) {
  constexpr std::array<std::string_view, 9> kKeys{"schemaVersion", "mediaType",   "config",
                                                  "layers",        "manifests",   "fsLayers",
                                                  "subject",       "annotations", "artifactType"};
  for (const auto &item : json.items())
    for (const std::string_view key : kKeys)
      if (item.key() != key && lower(item.key()) == lower(key))
        bad(fmt::format("it has \"{}\" where \"{}\" is meant", item.key(), key));
}

/// Type and shape have to agree, or what one reader takes for an image is a list of images to
/// another (CVE-2021-41190).
std::string checked_type(const Json &json, std::string_view content_type) {
  const std::optional<std::string> own = text_member(json, "mediaType");
  if (!own) bad("its mediaType is no string");
  const std::string sent = bare_type(content_type);
  const bool vague = std::ranges::find(kVagueTypes, sent) != kVagueTypes.end();
  if (json.contains("fsLayers") || sent.starts_with(kSchema1) || own->starts_with(kSchema1))
    bad("it is of Docker's schema 1, which was given up in 2020", "push the image again with a current tool");
  if (!vague && !own->empty() && sent != *own)
    bad(fmt::format("it came as {}, but says that it is {}", sent, *own));

  const bool index_shape = json.contains("manifests");
  const bool image_shape = json.contains("layers") || json.contains("config");
  if (index_shape && image_shape) bad("it is both an image and a list of images");
  if (!index_shape && !image_shape) bad("it has neither layers nor manifests");

  std::string type = own->empty() && !vague ? sent : *own;
  if (type.empty()) {  // OCI allows it; the shape decides
    const std::optional<std::string> config =
        json.contains("config") && json["config"].is_object() ? text_member(json["config"], "mediaType") : "";
    type = index_shape ? kOciIndex : config == kDockerConfig ? kDockerManifest : kOciManifest;
  }
  if (!is_index_type(type) && !is_manifest_type(type))
    bad(fmt::format("the type {} is not known", type.substr(0, 100)));
  if (is_index_type(type) != index_shape)
    bad(fmt::format("it says that it is {}, but has another shape", type));
  return type;
}

std::vector<Descriptor> read_list(const Json &json, const char *key) {
  const Json &list = json.at(key);
  if (!list.is_array()) bad(fmt::format("its {} are no list", key));
  if (list.size() > kMaxEntries) bad(fmt::format("it has {} {}, which is too many", list.size(), key));
  std::vector<Descriptor> result;
  result.reserve(list.size());
  for (const Json &entry : list) result.push_back(read_descriptor(entry));
  return result;
}

/// One digest is one content, so it has one size.
void check_sizes(const Manifest &manifest) {
  std::map<std::string_view, std::uint64_t> sizes;
  const auto check = [&](const Descriptor &descriptor) {
    const auto [known, is_new] = sizes.emplace(descriptor.digest.str(), descriptor.size);
    if (!is_new && known->second != descriptor.size)
      bad(fmt::format("it gives {} two different sizes", descriptor.digest.brief()));
  };
  if (manifest.config) check(*manifest.config);
  for (const Descriptor &layer : manifest.layers) check(layer);
  for (const Descriptor &entry : manifest.manifests) check(entry);
}

void read_body(const Json &json, Manifest &manifest) {
  try {
    if (manifest.is_index()) {
      manifest.manifests = read_list(json, "manifests");
    } else {
      if (!json.contains("config")) bad("it has no config");
      if (!json.contains("layers")) bad("it has no layers");
      manifest.config = read_descriptor(json["config"]);
      manifest.layers = read_list(json, "layers");
    }
    if (json.contains("subject") && !json["subject"].is_null())
      manifest.subject = read_descriptor(json["subject"]);
  } catch (const sdk::Error &error) {
    if (error.message.starts_with("bad manifest")) throw;
    bad(error.message, error.hint);
  }
  if (const auto annotations = json.find("annotations");
      annotations != json.end() && !annotations->is_null()) {
    if (!annotations->is_object()) bad("its annotations are no object");
    for (const auto &[key, value] : annotations->items()) {
      if (!value.is_string()) bad(fmt::format("its annotation \"{}\" is no string", key));
      manifest.annotations[key] = value.get<std::string>();
    }
  }
  const std::optional<std::string> artifact_type = text_member(json, "artifactType");
  if (!artifact_type) bad("its artifactType is no string");
  manifest.artifact_type = *artifact_type;
}

}  // namespace

std::uint64_t Manifest::blob_bytes() const {
  std::uint64_t sum = config ? config->size : 0;
  for (const Descriptor &layer : layers) sum += layer.size;
  return sum;
}

Manifest parse_manifest(std::string bytes, std::string_view content_type,
                        const std::optional<Digest> &expected) {
  if (bytes.size() > kMaxManifestSize)
    bad(fmt::format("it has {} bytes, the limit is {}", bytes.size(), kMaxManifestSize));
  Manifest manifest;
  manifest.digest = digest_of(bytes, expected ? expected->algorithm() : "sha256");
  if (expected && manifest.digest != *expected)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("manifest {} has another content: its digest is {}", expected->str(),
                                 manifest.digest.str()),
                     "it was damaged or replaced on its way; nothing of it was used");
  const ParsedJson parsed = parse_json(bytes);
  if (!parsed.problem.empty()) bad(parsed.problem);
  if (!parsed.value.is_object()) bad("it is no JSON object");
  refuse_other_spellings(parsed.value);
  manifest.media_type = checked_type(parsed.value, content_type);
  const auto version = parsed.value.find("schemaVersion");
  if (version == parsed.value.end() || *version != 2) bad("its schemaVersion is not 2");
  read_body(parsed.value, manifest);
  check_sizes(manifest);
  manifest.bytes = std::move(bytes);
  return manifest;
}

Descriptor select_platform(const Manifest &index, const Platform &platform) {
  const Descriptor *best = nullptr;
  const auto better = [&](const Descriptor &one, const Descriptor &other) {
    // Exactly what was asked for, else what says least when little was asked, else the newest that runs.
    const std::string &a = one.platform->variant, &b = other.platform->variant;
    if ((a == platform.variant) != (b == platform.variant)) return a == platform.variant;
    return platform.variant.empty() ? a < b : a > b;
  };
  std::string offered;
  for (const Descriptor &entry : index.manifests) {
    if (is_attestation(entry) || !entry.platform) continue;
    if (platform.matches(*entry.platform) && (best == nullptr || better(entry, *best))) best = &entry;
    offered += (offered.empty() ? "" : ", ") + entry.platform->str();
  }
  if (best != nullptr) return *best;
  if (index.manifests.size() == 1 && !index.manifests.front().platform) return index.manifests.front();
  throw sdk::Error(
      PIPE_E_NOT_FOUND, fmt::format("the image is not there for {}", platform.str()),
      offered.empty() ? "it names no platform at all" : fmt::format("it is there for {}", offered));
}

Manifest select_platforms(const Manifest &index, const std::vector<Platform> &platforms) {
  std::set<Digest> kept;
  for (const Platform &platform : platforms) kept.insert(select_platform(index, platform).digest);
  for (const Descriptor &entry : index.manifests) {
    const auto of = entry.annotations.find("vnd.docker.reference.digest");
    if (of == entry.annotations.end()) continue;
    const std::optional<Digest> image = Digest::try_parse(of->second);
    if (image && kept.contains(*image)) kept.insert(entry.digest);
  }
  Json json = Json::parse(index.bytes);
  Json entries = Json::array();
  for (Json &entry : json["manifests"])
    if (kept.contains(Digest::parse(entry["digest"].get<std::string>()))) entries.push_back(std::move(entry));
  if (entries.size() == index.manifests.size()) return index;
  json["manifests"] = std::move(entries);
  return parse_manifest(json.dump(), index.media_type);
}

}  // namespace pipes::oci
