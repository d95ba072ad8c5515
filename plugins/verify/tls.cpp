#include "check.hpp"
#include "diagnosis.hpp"
#include "tls_probe.hpp"

#include <pipe/http/client.hpp>

#include <fmt/core.h>

#include <ctime>

namespace verify {
namespace {

constexpr std::int64_t kDay = 86'400;

void add(Result &result, const std::string &cause, const std::string &remedy) {
  result.cause += (result.cause.empty() ? "" : "; ") + cause;
  result.remedy += (result.remedy.empty() ? "" : "; ") + remedy;
  result.status = PIPE_E_MISMATCH;
}

}  // namespace

Result check_tls(Target &target, int days) {
  const std::string &host = target.registry.host();
  Result result{.check = "tls", .asked = fmt::format("TLS handshakes with {}", host)};
  try {
    // With `insecure`, a certificate that nobody can trust is passed over elsewhere; not here.
    oci::RegistryOptions strict = target.options;
    strict.insecure = false;
    oci::Registry registry(host, strict, target.observer);
    const auto origin = pipes::http::Origin::of(registry.origin());
    if (origin.scheme != "https") {
      result.came = "plain HTTP";
      add(result,
          fmt::format("{} has no certificate: passwords and images cross the network in the clear", host),
          "give it one (`tls_certificate` and `tls_key` of the step config), or a proxy with one before it");
      return result;
    }
    registry.ping();  // libcurl checks chain, name and dates
    const auto seen = shake_hands(origin.host, origin.port, Speak::any);
    if (!seen)
      throw sdk::Error(PIPE_E_TRANSIENT, fmt::format("{} finished one handshake and not the next", host));
    const std::int64_t left = (seen->not_after - std::time(nullptr)) / kDay;
    result.came =
        fmt::format("{}, a certificate that is trusted here and lasts {} more days", seen->version, left);
    if (left < days)
      add(result,
          fmt::format("the certificate{} ends in {} days, less than the {} that are asked for",
                      seen->subject.empty() ? "" : " of " + seen->subject, left, days),
          "issue a new one, and restart the registry: it reads its certificate only when it starts");
    if (const auto old = shake_hands(origin.host, origin.port, Speak::old)) {
      result.came += fmt::format(", and {} too", old->version);
      add(result,
          fmt::format("it still speaks {}, which is broken and gone from browsers and engines", old->version),
          "let it begin with 1.2 (`tls_minimum` of the step config; nginx: ssl_protocols TLSv1.2 TLSv1.3)");
    }
  } catch (const sdk::Error &error) {
    return failure(result.check, result.asked, error, host);
  }
  return result;
}

}  // namespace verify
