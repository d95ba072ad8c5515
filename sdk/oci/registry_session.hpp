#pragma once
// What all requests to one registry share: scheme, logins, connections, patience. For .cpp files of this
// folder only.
#include <pipe/http/client.hpp>
#include <pipe/oci/registry.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "auth.hpp"
#include "pace.hpp"

namespace pipes::oci {

/// One request to a registry.
struct Call {
  std::string what;  // for errors: "can't read the manifest app:1 of localhost:5000"
  std::string method = "GET";
  std::string path{};  // "/v2/…", or
  std::string url{};   // where an answer of this registry sent us (an upload's Location)
  Access access{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::function<http::Source()> open{};  // or a body of `body_size` bytes, from its start each time
  std::uint64_t body_size = 0;
  http::Sink sink{};
  std::optional<std::uint64_t> expected_size{};  // of what goes to `sink`
  std::function<void(const http::Response &)> start{};
  std::size_t max_body = 8u << 20;
  std::chrono::milliseconds no_progress{60'000};
  std::function<bool()> give_up{};
};

class Session {
 public:
  Session(std::string host, RegistryOptions, sdk::Observer &);

  /// Sends with the login that is needed; finds out the scheme on the way. Throws PIPE_E_TRANSIENT for
  /// statuses that may pass, PIPE_E_DENIED for 401; other statuses are the caller's.
  http::Response send_once(const Call &);
  /// The same with retries.
  http::Response send(const Call &);
  /// As it is: no login, no retry, any status.
  http::Response ping();

  const std::string &host() const { return host_; }
  sdk::Observer &observer() { return observer_; }
  /// scheme://host[:port]; asks the registry if the scheme is not known.
  std::string origin();

  Pace &pace() { return pace_; }
  Traffic traffic() const { return {.requests = requests_, .retries = retries_}; }

  /// After a failure: waits as long as is due and returns true, or returns false where another try
  /// makes no sense. `tries` counts them.
  bool wait_to_retry(const sdk::Error &, int &tries);

 private:
  class Lease;
  enum class Scheme { unknown, https, http };

  http::Response exchange(const Call &, const std::string &authorization, http::Client &);
  http::Response exchange_by(Scheme, const Call &, const std::string &authorization, http::Client &);
  /// Asks without a login, and finds out the scheme.
  http::Response exchange_first(const Call &, http::Client &);
  http::Response on_loopback(const Call &, http::Client &);
  /// What the first answer came by holds for all.
  http::Response settle(Scheme, http::Response);
  [[noreturn]] void throw_plain(const http::TlsError &) const;
  std::string url_of(Scheme, const Call &) const;
  void wait_for_turn();
  void watch_quota(const http::Response &);

  const std::string host_;      // as in names: "docker.io"
  const std::string api_host_;  // "registry-1.docker.io"
  const RegistryOptions options_;
  const http::ClientOptions client_options_;
  sdk::Observer &observer_;
  const bool loopback_, may_be_plain_;
  Authorizer authorizer_;
  std::atomic<Scheme> scheme_ = Scheme::unknown;
  std::atomic<http::Zone> zone_ = http::Zone::internet;
  Pace pace_;
  std::atomic<std::uint64_t> requests_ = 0, retries_ = 0;
  std::atomic<bool> quota_told_ = false;
  std::mutex mutex_;
  std::vector<std::unique_ptr<http::Client>> idle_;
  std::chrono::steady_clock::time_point not_before_{};  // Retry-After holds for the whole host
  std::mt19937 random_{std::random_device{}()};
};

}  // namespace pipes::oci
