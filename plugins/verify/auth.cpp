#include "check.hpp"
#include "diagnosis.hpp"

#include <pipe/oci/credential_source.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

namespace verify {
namespace {

constexpr std::string_view kOpen =
    "it asks for no password: authentication is not configured, or something before it "
    "lets requests through that it should ask of";
constexpr std::string_view kClose =
    "give the registry its htpasswd file (auth.htpasswd in its configuration, by the parameter `htpasswd` of "
    "the step "
    "config) and start it again";

/// Basic and Bearer, with a realm, are what registry clients understand (distribution-spec,
/// "Authentication").
std::string wrong_challenge(const std::string &challenge) {
  std::string scheme = challenge.substr(0, challenge.find(' '));
  std::ranges::transform(scheme, scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  if (scheme != "basic" && scheme != "bearer")
    return fmt::format("it asks by the scheme \"{}\", which no registry client knows", scheme);
  if (challenge.find("realm=") == std::string::npos)
    return fmt::format("its challenge has no realm, so that clients do not know {}",
                       scheme == "basic" ? "what for" : "where to get a token");
  return {};
}

/// The login, given or stored, tried at something that need not be there.
void try_login(Target &target, Result &result) {
  const std::string &host = target.registry.host();
  const std::string repository = target.image ? target.image->repository : target.canary_repository;
  try {
    target.registry.head_manifest(repository, target.image ? target.image->identifier() : "none");
    result.came += ", takes the login";
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    if (error.status == PIPE_E_NOT_FOUND) {
      result.came += ", takes the login";
      return;
    }
    const Diagnosis d = diagnose(error, host);
    result.status = error.status;
    result.cause = d.cause.empty() ? error.message : d.cause;
    result.remedy = d.remedy;
    result.came += wants_login(error) ? ", and no login is stored for it" : ", refuses the login";
  }
}

}  // namespace

Result check_auth(Target &target) {
  Result result{.check = "auth",
                .asked = fmt::format("{} without a password, then with one", target.registry.host())};
  try {
    const oci::Registry::Ping ping = target.registry.ping();
    result.came = fmt::format("HTTP {}", ping.status);
    if (ping.status == 200) {
      result.came += " without a password";
      result.cause = kOpen;
      result.remedy = kClose;
      result.status = PIPE_E_MISMATCH;
    } else if (const auto bad = diagnose(ping, target.registry.host())) {
      result.cause = bad->cause;
      result.remedy = bad->remedy;
      result.status = ping.status == 401 ? PIPE_E_MISMATCH : status_of(ping.status);
    } else if (std::string wrong = wrong_challenge(ping.challenge); !wrong.empty()) {
      result.came += fmt::format(", WWW-Authenticate: {}", ping.challenge.substr(0, 100));
      result.cause = std::move(wrong);
      result.remedy =
          "let the registry itself ask, or make the proxy send `WWW-Authenticate: Basic realm=\"registry\"`";
      result.status = PIPE_E_MISMATCH;
    } else {
      result.came += " without a password";
      try_login(target, result);
    }
  } catch (const sdk::Error &error) {
    return failure(result.check, result.asked, error, target.registry.host());
  }
  return result;
}

}  // namespace verify
