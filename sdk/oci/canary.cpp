#include <fmt/core.h>
#include <pipe/http/client.hpp>
#include <pipe/oci/canary.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace pipes::oci {
namespace {

Descriptor describe(std::string_view media_type, const std::string &bytes) {
  return {.media_type = std::string(media_type), .digest = digest_of(bytes), .size = bytes.size()};
}

std::string descriptor_json(const Descriptor &d) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}}})", d.media_type, d.digest.str(), d.size);
}

http::Source source_of(const std::string &bytes, std::uint64_t offset) {
  return [&bytes, at = static_cast<std::size_t>(offset)](char *data, std::size_t size) mutable {
    const std::size_t n = std::min(size, bytes.size() - at);
    std::memcpy(data, bytes.data() + at, n);
    at += n;
    return n;
  };
}

void push_blob(Registry &registry, const std::string &repository, const Descriptor &blob,
               const std::string &bytes) {
  registry.put_blob(repository, blob, [&](std::uint64_t offset) { return source_of(bytes, offset); });
}

void pull_blob(Registry &registry, const std::string &repository, const Descriptor &blob) {
  Hasher hasher;
  registry.get_blob(repository, blob, [&](const char *data, std::size_t size) { hasher.update(data, size); });
  if (hasher.finish() != blob.digest) {
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("blob {} came back changed", blob.digest.brief()));
  }
}

}  // namespace

Canary make_canary(std::string_view nonce) {
  Canary canary;
  canary.layer = std::string(1024, '\0');
  canary.layer_descriptor = describe(kOciLayer, canary.layer);
  const Platform platform = Platform::host();
  canary.config =
      fmt::format(R"({{"architecture":"{}","os":"{}","config":{{"Labels":{{"pipe.canary":"{}"}}}},)"
                  R"("rootfs":{{"type":"layers","diff_ids":["{}"]}}}})",
                  platform.architecture, platform.os, nonce, canary.layer_descriptor.digest.str());
  canary.config_descriptor = describe(kOciConfig, canary.config);
  canary.manifest = parse_manifest(
      fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}})", kOciManifest,
                  descriptor_json(canary.config_descriptor), descriptor_json(canary.layer_descriptor)),
      kOciManifest);
  return canary;
}

void fly(Registry &registry, const std::string &repository, const std::string &tag, const Canary &canary,
         std::string &stage) {
  stage = "the upload of a blob";
  push_blob(registry, repository, canary.layer_descriptor, canary.layer);
  push_blob(registry, repository, canary.config_descriptor, canary.config);
  stage = "the upload of the manifest";
  registry.put_manifest(repository, tag, canary.manifest);
  stage = "reading the tag back";
  const auto served = registry.head_manifest(repository, tag);
  if (!served) throw sdk::Error(PIPE_E_MISMATCH, fmt::format("tag {} is not there after its push", tag));
  if (served->digest != canary.manifest.digest) {
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("tag {} is {} after a push of {}", tag,
                                                  served->digest.brief(), canary.manifest.digest.brief()));
  }
  stage = "pulling it";
  registry.manifest(repository, canary.manifest.digest.str());
  pull_blob(registry, repository, canary.config_descriptor);
  pull_blob(registry, repository, canary.layer_descriptor);
}

}  // namespace pipes::oci
