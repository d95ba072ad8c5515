#include "check.hpp"
#include "diagnosis.hpp"

#include <pipe/http/client.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

namespace verify {
namespace {

/// The smallest image there is: an empty tar archive, and a config that no other canary has.
struct Canary {
  std::string layer, config;
  oci::Descriptor layer_descriptor, config_descriptor;
  oci::Manifest manifest;
};

oci::Descriptor describe(std::string_view media_type, const std::string &bytes) {
  return {.media_type = std::string(media_type), .digest = oci::digest_of(bytes), .size = bytes.size()};
}

std::string descriptor_json(const oci::Descriptor &d) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}}})", d.media_type, d.digest.str(), d.size);
}

std::string random_name() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

Canary make_canary(std::string_view nonce) {
  Canary canary;
  canary.layer = std::string(1024, '\0');
  canary.layer_descriptor = describe(oci::kOciLayer, canary.layer);
  const oci::Platform platform = oci::Platform::host();
  canary.config =
      fmt::format(R"({{"architecture":"{}","os":"{}","config":{{"Labels":{{"pipe.canary":"{}"}}}},)"
                  R"("rootfs":{{"type":"layers","diff_ids":["{}"]}}}})",
                  platform.architecture, platform.os, nonce, canary.layer_descriptor.digest.str());
  canary.config_descriptor = describe(oci::kOciConfig, canary.config);
  canary.manifest = oci::parse_manifest(
      fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}})", oci::kOciManifest,
                  descriptor_json(canary.config_descriptor), descriptor_json(canary.layer_descriptor)),
      oci::kOciManifest);
  return canary;
}

/// Whether the registry deletes, asked by deleting what is not there yet. Where it does not, each canary
/// would stay for ever: then they all take one tag.
bool can_delete(Target &target, const Canary &canary) {
  try {
    target.registry.delete_manifest(target.canary_repository, canary.manifest.digest.str());
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_NOT_FOUND) return true;
    if (error.status == PIPE_E_DENIED || error.status == PIPE_E_INVALID) return false;
    throw;
  }
  return true;
}

pipes::http::Source source_of(const std::string &bytes, std::uint64_t offset) {
  return [&bytes, at = static_cast<std::size_t>(offset)](char *data, std::size_t size) mutable {
    const std::size_t n = std::min(size, bytes.size() - at);
    std::memcpy(data, bytes.data() + at, n);
    at += n;
    return n;
  };
}

void push_blob(Target &target, const oci::Descriptor &blob, const std::string &bytes) {
  target.registry.put_blob(target.canary_repository, blob,
                           [&](std::uint64_t offset) { return source_of(bytes, offset); });
}

void pull_blob(Target &target, const oci::Descriptor &blob) {
  oci::Hasher hasher;
  target.registry.get_blob(target.canary_repository, blob,
                           [&](const char *data, std::size_t size) { hasher.update(data, size); });
  if (hasher.finish() != blob.digest) {
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("blob {} came back changed", blob.digest.brief()));
  }
}

/// Pushes, then pulls by tag and by digest. `stage` says what is being done, for the report.
void fly(Target &target, const Canary &canary, const std::string &tag, std::string &stage) {
  stage = "the upload of a blob";
  push_blob(target, canary.layer_descriptor, canary.layer);
  push_blob(target, canary.config_descriptor, canary.config);
  stage = "the upload of the manifest";
  target.registry.put_manifest(target.canary_repository, tag, canary.manifest);
  stage = "reading the tag back";
  const auto served = target.registry.head_manifest(target.canary_repository, tag);
  if (!served) throw sdk::Error(PIPE_E_MISMATCH, fmt::format("tag {} is not there after its push", tag));
  if (served->digest != canary.manifest.digest) {
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("tag {} is {} after a push of {}", tag,
                                                  served->digest.brief(), canary.manifest.digest.brief()));
  }
  stage = "pulling it";
  target.registry.manifest(target.canary_repository, canary.manifest.digest.str());
  pull_blob(target, canary.config_descriptor);
  pull_blob(target, canary.layer_descriptor);
}

/// Takes the canary away again; what can't be is said in `result`.
void clean_up(Target &target, const Canary &canary, const std::string &name, Result &result) {
  try {
    target.registry.delete_manifest(target.canary_repository, canary.manifest.digest.str());
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    if (error.status == PIPE_E_NOT_FOUND) return;  // its push failed
    result.came += fmt::format("; {} could not be deleted: {}", name, error.message);
  }
}

}  // namespace

Result check_canary(Target &target) {
  Result result{.check = "canary"};
  std::string stage = "asking whether it deletes";
  const std::string nonce = random_name();
  const Canary canary = make_canary(nonce);
  std::string name = target.registry.host() + "/" + target.canary_repository;
  result.asked = fmt::format("push and pull of {}", name);
  try {
    const bool deletes = can_delete(target, canary);
    const std::string tag = deletes ? "canary-" + nonce : "canary";
    name += ":" + tag;
    result.asked = fmt::format("push and pull of {}", name);
    try {
      fly(target, canary, tag, stage);
    } catch (...) {
      Result ignored;
      if (deletes) clean_up(target, canary, name, ignored);
      throw;
    }
    result.came = "the same bytes";
    if (deletes) {
      clean_up(target, canary, name, result);
    } else {
      result.came += fmt::format("; {} stays there", name);
      result.cause = "this registry does not delete, or not for you";
      result.remedy =
          "nothing to do: the next canary takes the same tag; a registry deletes with "
          "REGISTRY_STORAGE_DELETE_ENABLED=true";
    }
  } catch (const sdk::Error &error) {
    Result failed = failure(result.check, result.asked, error, target.registry.host(), Doing::writing);
    failed.came = fmt::format("{} failed: {}", stage, failed.came);
    return failed;
  }
  return result;
}

}  // namespace verify
