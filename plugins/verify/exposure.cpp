// What a registry lets happen, seen from outside: what belongs to the check "config".
#include "check.hpp"
#include "diagnosis.hpp"

#include <pipe/engine/engine.hpp>
#include <pipe/http/client.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace verify {
namespace {

namespace engine = pipes::engine;
namespace http = pipes::http;
using namespace std::chrono_literals;

/// The debug address of registry:3's own configuration, and of the examples for 2.
constexpr int kDebugPort = 5001;

struct Place {
  std::string host;
  int port;
};

bool is_loopback(const std::string &host) {
  return http::Origin{.scheme = "http", .host = host, .port = 80}.loopback();
}

bool any_address(const std::string &ip) {
  return ip.empty() || ip == "0.0.0.0" || ip == "::";
}

/// Whether Distribution's debug server answers there: its /debug/vars is Go's expvar.
bool serves_debug(const Place &place, sdk::Observer &observer) {
  http::Client client({.connect_timeout = 2s}, observer);
  const std::string host = place.host.find(':') == std::string::npos ? place.host : "[" + place.host + "]";
  http::Request request{.url = fmt::format("http://{}:{}/debug/vars", host, place.port)};
  request.follow = false;
  request.no_progress = 3s;
  request.max_body = 1u << 20;
  try {
    const http::Response answer = client.send(request);
    return answer.status == 200 && answer.body.find("\"cmdline\"") != std::string::npos;
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    return false;  // nobody there, or something else
  }
}

/// What the container publishes to more than this machine, if it is known.
struct Published {
  bool known = false, registry = false;
  std::vector<Place> others;
};

Published published(const Target &target, int registry_port) {
  Published found;
  if (target.container.empty()) return found;
  auto engine = engine::Engine::connect(target.engine, target.observer);
  const auto container = engine.container(target.container);
  if (!container || container->state != "running") return found;
  found.known = true;
  for (const engine::PortBinding &port : container->bound_ports) {
    if (!port.container.ends_with("/tcp") || (!any_address(port.host_ip) && is_loopback(port.host_ip)))
      continue;
    const int number = std::atoi(port.host_port.c_str());
    if (number == registry_port) {
      found.registry = true;
    } else {
      found.others.push_back({any_address(port.host_ip) ? engine.version().host : port.host_ip, number});
    }
  }
  return found;
}

void add(Result &result, const std::string &cause, const std::string &remedy) {
  result.cause += (result.cause.empty() ? "" : "; ") + cause;
  result.remedy += (result.remedy.empty() ? "" : "; ") + remedy;
  result.status = PIPE_E_MISMATCH;
}

}  // namespace

Result check_config(Target &target) {
  const std::string &host = target.registry.host();
  Result result{.check = "config", .asked = fmt::format("{} for what it lets happen", host)};
  try {
    const auto origin = http::Origin::of(target.registry.origin());
    const Published ports = published(target, origin.port);
    const bool exposed = ports.known ? ports.registry || !origin.loopback() : !origin.loopback();
    const bool open = target.registry.ping().status == 200;
    const bool deletes = can_delete(target, oci::digest_of("nothing has this digest").str());
    result.came =
        fmt::format("{}, {}, {}", origin.scheme == "https" ? "TLS" : "plain HTTP",
                    open ? "no password" : "a password", deletes ? "deletes images" : "does not delete");
    if (open && exposed)
      add(result,
          fmt::format("whoever reaches this machine may push{} without a password",
                      deletes ? " and delete" : ""),
          "publish it at 127.0.0.1 only (`bind`), or put a password on it (`htpasswd` of the step config)");
    if (origin.scheme != "https" && exposed && !open)
      add(result, "passwords cross the network in the clear",
          "give it a certificate (`tls_certificate` of the step config), or a proxy with one before it");
    if (origin.scheme != "https" && exposed && open)
      add(result, "images cross the network where anybody can change them on their way",
          "give it a certificate (`tls_certificate` of the step config)");
    std::vector<Place> places = ports.others;
    if (!origin.loopback() && origin.port != kDebugPort) places.push_back({origin.host, kDebugPort});
    for (const Place &place : places) {
      if (!serves_debug(place, target.observer)) continue;
      add(result,
          fmt::format("its debug address answers at {}:{}: command line, memory and profiles, for anybody",
                      place.host, place.port),
          "do not publish that port; the step config leaves `debug_addr` out (the image registry:3 has it at "
          ":5001)");
      break;
    }
  } catch (const sdk::Error &error) {
    return failure(result.check, result.asked, error, host);
  }
  return result;
}

}  // namespace verify
