#pragma once
// What can be seen of a container without its engine: ports that are taken, whether something answers.
#include <pipe/engine/engine.hpp>
#include <pipe/error.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace pipes::engine {

/// Whether this machine could listen there now.
struct PortCheck {
  bool free = true;
  std::string reason;  // "taken by nginx (pid 123)", "192.0.2.7 is no address of this machine"
};
PortCheck check_port(const PortBinding &);

/// How it is seen that a container does its work.
struct Ready {
  enum class Kind {
    none,     // not asked
    running,  // it is still running a moment later
    service,  // HTTP GET /v2/ answers (below 500), or something that is not HTTP does
    tcp,      // a connection stays open
    http,     // a URL answers 2xx, 3xx or 401
    healthy,  // the engine's health check says so
  };
  Kind kind = Kind::none;
  std::string url;   // http
  std::string host;  // service, tcp
  int port = 0;
  /// "", "none", "healthy", "tcp://host:port", "host:port" or a URL; "" is `service` at the first published
  /// tcp port of `bound`, else `running`. `engine_host` stands for "every address". Throws PIPE_E_INVALID.
  static Ready parse(std::string_view text, const std::vector<PortBinding> &bound,
                     std::string_view engine_host);
  std::string str() const;  // what is asked, for messages
};

struct Answer {
  bool ready = false;
  bool registry = false;  // 200 or 401 to /v2/
  std::string detail;     // "HTTP 503", "connection reset", …
};
/// One try, at most two seconds long. A refused, reset or closed connection is "not yet". Kinds running,
/// healthy and none are always ready: the engine knows.
Answer ask(const Ready &, sdk::Observer &);

/// host:port by which this machine reaches a published port; empty host_ip and 0.0.0.0 are `engine_host`.
std::string reach(const PortBinding &, std::string_view engine_host);

}  // namespace pipes::engine
