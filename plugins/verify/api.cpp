#include "check.hpp"
#include "diagnosis.hpp"

#include <fmt/core.h>

namespace verify {
namespace {

/// Where a registry asks for a password by the Basic scheme, the password stored for it is good for all of
/// it: any repository will do to try it. (With tokens, rights differ by repository: the other checks see.)
void try_password(Target &target, Result &result) {
  const std::string repository = target.image ? target.image->repository : target.canary_repository;
  const std::string tag = target.image ? target.image->identifier() : "none";
  try {
    target.registry.head_manifest(repository, tag);
    result.came += ", and takes the login";
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    if (error.status != PIPE_E_DENIED) return;
    const Diagnosis d = diagnose(error, target.registry.host());
    result.cause = d.cause;
    result.remedy = d.remedy;
    if (wants_login(error)) return;  // it answers as a registry with a password should
    result.came += ", and refuses the login";
    result.status = PIPE_E_DENIED;
  }
}

}  // namespace

Result check_api(Target &target) {
  Result result{.check = "api", .asked = fmt::format("GET /v2/ of {}", target.registry.host())};
  try {
    const oci::Registry::Ping ping = target.registry.ping();
    result.asked = fmt::format("GET {}/v2/", target.registry.origin());
    result.came = fmt::format("HTTP {}", ping.status);
    if (!ping.api_version.empty()) result.came += fmt::format(" from {}", ping.api_version);
    if (const auto bad = diagnose(ping, target.registry.host())) {
      if (!ping.body_start.empty()) result.came += fmt::format(": {}", ping.body_start);
      result.cause = bad->cause;
      result.remedy = bad->remedy;
      result.status = status_of(ping.status);
    } else if (ping.status == 401) {
      result.came += ", it asks for a password";
      if (ping.challenge.starts_with("Basic")) try_password(target, result);
    }
  } catch (const sdk::Error &error) {
    return failure(result.check, result.asked, error, target.registry.host());
  }
  return result;
}

}  // namespace verify
