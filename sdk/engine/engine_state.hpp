#pragma once
// What the functions of Engine share: the connection, and how a request is put and answered.
#include <fmt/core.h>

#include <chrono>
#include <optional>
#include <pipe/engine/engine.hpp>
#include <pipe/http/client.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "podman_service.hpp"
#include "sightings.hpp"

namespace pipes::engine {

inline constexpr std::chrono::minutes kUsualLimit{2};  // creating and starting, on a slow disk
inline constexpr std::chrono::minutes kLoadLimit{10};  // unpacking, after the last byte was sent

struct Engine::State {
  State(const Endpoint &where, sdk::Observer &watcher);

  /// Connects (starts podman, where that is the engine) unless that was done.
  void open();
  http::Request request(std::string method, std::string_view path);
  http::Request post(std::string_view path, std::string body = {});
  /// The answer to a request, where 2xx and 304 (already so) are good and 404 may be.
  http::Response send(const http::Request &request, std::string_view what, bool may_be_missing = false);
  /// Sends a request whose answer is a stream of progress, with a failure in it or without.
  void follow(http::Request request, const std::string &login, std::string_view what);
  void negotiate_version();

  Endpoint endpoint;
  sdk::Observer &observer;
  std::optional<PodmanService> podman;
  std::optional<http::Client> client;
  std::string base;
  std::vector<Sighting> sightings;
  Version version;
};

inline bool is_success(int status) {
  return status >= 200 && status < 300;
}

}  // namespace pipes::engine
