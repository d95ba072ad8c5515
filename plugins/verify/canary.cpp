#include "canary_image.hpp"
#include "check.hpp"
#include "diagnosis.hpp"

#include <fmt/core.h>

#include <utility>

namespace verify {
namespace {

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
      oci::fly(target.registry, target.canary_repository, tag, canary, stage);
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
