#include "canary_image.hpp"
#include "check.hpp"
#include "diagnosis.hpp"

#include <pipe/http/client.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace verify {
namespace {

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
void fly(Target &target, const CanaryImage &canary, const std::string &tag, std::string &stage) {
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
void clean_up(Target &target, const CanaryImage &canary, const std::string &name, Result &result) {
  try {
    target.registry.delete_manifest(target.canary_repository, canary.manifest.digest.str());
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    if (error.status == PIPE_E_NOT_FOUND) return;  // its push failed
    result.came += fmt::format("; {} could not be deleted: {}", name, error.message);
  }
}

}  // namespace

bool can_delete(Target &target, const std::string &digest) {
  try {
    target.registry.delete_manifest(target.canary_repository, digest);
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_NOT_FOUND) return true;
    if (error.status == PIPE_E_DENIED || error.status == PIPE_E_INVALID) return false;
    throw;
  }
  return true;
}

Result check_canary(Target &target) {
  Result result{.check = "canary"};
  std::string stage = "asking whether it deletes";
  const std::string nonce = random_nonce();
  // The same layer each time: what an upload needs is there to be seen, and nothing is left to be collected
  // but a config.
  const CanaryImage canary = make_canary(nonce, "canary", target.canary_size);
  std::string name = target.registry.host() + "/" + target.canary_repository;
  result.asked = fmt::format("push and pull of {}", name);
  try {
    const bool deletes = can_delete(target, canary.manifest.digest.str());
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
