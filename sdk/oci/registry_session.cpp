#include "registry_session.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <exception>

#include "certs_dirs.hpp"
#include "no_progress.hpp"
#include "registries_conf.hpp"
#include "registry_error.hpp"

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kMaxTries = 5;
constexpr std::chrono::milliseconds kFirstDelay = 200ms;
constexpr std::chrono::milliseconds kLongestDelay = 60s;

// Docker Hub warns nobody: from here on we do.
constexpr std::uint64_t kFewLeft = 10;

/// The number that a header such as "76;w=21600" begins with (Docker Hub's ratelimit-limit, -remaining).
std::optional<std::uint64_t> leading_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::string api_host(const std::string &host) {
  return host == "docker.io" ? "registry-1.docker.io" : host;
}

RegistryOptions as_configured(const std::string &host, RegistryOptions options) {
  options.insecure = options.insecure || RegistriesConf::load().is_insecure(host);
  return options;
}

Credentials login_of(const RegistryOptions &options) {
  Credentials given;
  given.username = options.username;
  given.password = options.password;
  if (!given.empty()) given.source = "the parameters `username` and `password`";
  return given;
}

}  // namespace

/// Borrows a client for one request, so that each has connections of its own and they are kept.
class Session::Lease {
 public:
  explicit Lease(Session &session) : session_(session) {
    {
      const std::lock_guard lock(session.mutex_);
      if (!session.idle_.empty()) {
        client_ = std::move(session.idle_.back());
        session.idle_.pop_back();
        return;
      }
    }
    client_ = std::make_unique<http::Client>(session.client_options_, session.observer_);
  }
  ~Lease() {
    const std::lock_guard lock(session_.mutex_);
    session_.idle_.push_back(std::move(client_));
  }
  Lease(const Lease &) = delete;
  Lease &operator=(const Lease &) = delete;
  http::Client &operator*() { return *client_; }

 private:
  Session &session_;
  std::unique_ptr<http::Client> client_;
};

Session::Session(std::string host, RegistryOptions options, sdk::Observer &observer)
    : host_(std::move(host)),
      api_host_(api_host(host_)),
      options_(as_configured(host_, std::move(options))),
      client_options_(client_options(host_, api_host_, options_, CertsDirs::of_this_machine(), observer)),
      observer_(observer),
      loopback_(http::Origin::of("https://" + api_host_).loopback()),
      may_be_plain_(options_.insecure || loopback_),
      authorizer_(host_, login_of(options_), observer),
      pace_(options_.concurrency, options_.rate) {}

std::string Session::url_of(Scheme scheme, const Call &call) const {
  if (!call.url.empty()) return call.url;
  return (scheme == Scheme::http ? "http://" : "https://") + api_host_ + call.path;
}

http::Response Session::exchange_by(Scheme scheme, const Call &call, const std::string &authorization,
                                    http::Client &client) {
  http::Request request{.method = call.method, .url = url_of(scheme, call)};
  request.headers = call.headers;
  request.body = call.body;
  request.sink = call.sink;
  request.expected_size = call.expected_size;
  request.start = call.start;
  request.max_body = call.max_body;
  request.no_progress = no_progress_limit(call.no_progress);
  request.give_up = call.give_up;
  if (call.open) {
    request.source = call.open();
    request.body_size = call.body_size;
  }
  const bool at_home =
      call.url.empty() || http::Origin::of(call.url) == http::Origin::of(url_of(scheme, {.what = {}}));
  if (at_home) request.authorization = authorization;
  if (!call.url.empty()) request.sent_by = zone_;
  http::Response response = client.send(request);
  ++requests_;
  return response;
}

http::Response Session::settle(Scheme scheme, http::Response response) {
  zone_ = response.zone;
  scheme_ = scheme;
  return response;
}

http::Response Session::exchange(const Call &call, const std::string &authorization, http::Client &client) {
  if (scheme_ == Scheme::unknown && (call.sink || call.open)) ping();  // bytes move once the way is known
  if (const Scheme known = scheme_; known != Scheme::unknown)
    return exchange_by(known, call, authorization, client);
  return exchange_first(call, client);
}

http::Response Session::exchange_first(const Call &call, http::Client &client) {
  if (loopback_) return on_loopback(call, client);
  try {
    return settle(Scheme::https, exchange_by(Scheme::https, call, {}, client));
  } catch (const http::TlsError &error) {
    // Never after a certificate that does not fit: that would give a login away (CVE-2019-10214).
    if (error.reason == http::TlsError::Reason::certificate ||
        error.reason == http::TlsError::Reason::client_certificate)
      throw;
    if (!may_be_plain_) {
      if (error.reason == http::TlsError::Reason::speaks_plain_http) throw_plain(error);
      throw;
    }
  }
  return settle(Scheme::http, exchange_by(Scheme::http, call, {}, client));
}

/// Plain http first: nobody listens in there, registries there mostly speak it, and a TLS handshake that has
/// to fail costs more than the request. A server of https answers 400, a redirect to itself, or nothing that
/// is http.
http::Response Session::on_loopback(const Call &call, http::Client &client) {
  std::optional<http::Response> plain;
  std::exception_ptr failed;
  try {
    plain = exchange_by(Scheme::http, call, {}, client);
    const http::Origin secure = http::Origin::of(url_of(Scheme::https, {.what = {}}));
    const std::string_view location = plain->headers.get("location");
    const bool sent_on = plain->status >= 300 && plain->status < 400 && !location.empty() &&
                         http::Origin::of(http::resolve_url(plain->url, location)) == secure;
    const Scheme scheme = http::Origin::of(plain->url) == secure ? Scheme::https : Scheme::http;
    if (plain->status != 400 && !sent_on) return settle(scheme, std::move(*plain));
  } catch (const http::TlsError &) {
    throw;  // after a redirect
  } catch (const http::Unreachable &) {
    throw;
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_TRANSIENT && error.status != PIPE_E_INVALID) throw;
    failed = std::current_exception();
  }
  try {
    return settle(Scheme::https, exchange_by(Scheme::https, call, {}, client));
  } catch (const http::TlsError &error) {
    if (error.reason == http::TlsError::Reason::certificate ||
        error.reason == http::TlsError::Reason::client_certificate)
      throw;
  }
  if (failed) std::rethrow_exception(failed);
  return settle(Scheme::http, std::move(*plain));
}

void Session::throw_plain(const http::TlsError &) const {
  throw sdk::Error(
      PIPE_E_INVALID, fmt::format("{} speaks plain http, and https is asked of registries", host_),
      "if the network between is trusted, set insecure = true for this step; else give the registry a "
      "certificate");
}

http::Response Session::send_once(const Call &call) {
  wait_for_turn();
  Lease client(*this);
  const std::string sent = authorizer_.header(call.access, *client);
  http::Response response = exchange(call, sent, *client);
  const auto is_ours = [&] {
    return http::Origin::of(response.url) == http::Origin::of(url_of(scheme_, {.what = {}}));
  };
  if (response.status == 401 && is_ours()) {
    const std::string better = authorizer_.answer(response, call.access, sent, *client);
    response = exchange(call, better, *client);
    if (response.status == 401 && is_ours()) authorizer_.deny(call.access);
  }
  if (response.status == 429 || response.status == 503) pace_.complained();
  if (is_transient(response.status)) throw_status(response, call.what);
  watch_quota(response);
  return response;
}

http::Response Session::send(const Call &call) {
  for (int tries = 0;;) {
    try {
      return send_once(call);
    } catch (const sdk::Error &error) {
      if (!wait_to_retry(error, tries)) throw;
    }
  }
}

http::Response Session::ping() {
  Lease client(*this);
  return exchange({.what = "ping", .path = "/v2/", .max_body = 64u << 10}, {}, *client);
}

std::string Session::origin() {
  if (scheme_ == Scheme::unknown) ping();
  return http::Origin::of(url_of(scheme_, {.what = {}})).str();
}

bool Session::wait_to_retry(const sdk::Error &error, int &tries) {
  ++tries;
  int enough = 0;
  if (error.status == PIPE_E_TRANSIENT) enough = kMaxTries;
  if (error.status == PIPE_E_TIMEOUT) enough = 2;
  // A host that never answered is more likely down or wrong than shaken: a fallback shall not wait for it.
  const bool no_way =
      dynamic_cast<const http::Unreachable *>(&error) != nullptr || error.status == PIPE_E_TIMEOUT;
  if (scheme_ == Scheme::unknown && no_way) enough = 0;
  if (tries >= enough) return false;
  std::chrono::milliseconds delay{error.retry_after_ms};
  if (delay > kLongestDelay) return false;  // the runner decides whether that is worth waiting for
  const std::lock_guard lock(mutex_);
  const double jitter = std::uniform_real_distribution<>(0.75, 1.25)(random_);
  if (delay.count() == 0) {
    const auto grown = kFirstDelay * (1 << (tries - 1));
    delay = std::chrono::milliseconds(static_cast<std::int64_t>(static_cast<double>(grown.count()) * jitter));
  }
  not_before_ = std::max(not_before_, Clock::now() + delay);
  ++retries_;
  observer_.log(sdk::Level::info, fmt::format("{}; next try in {:.1f} s", error.message,
                                              static_cast<double>(delay.count()) / 1000));
  return true;
}

void Session::wait_for_turn() {
  Clock::time_point until;
  {
    const std::lock_guard lock(mutex_);
    until = not_before_;
  }
  sleep_until(until, observer_);
}

void Session::watch_quota(const http::Response &response) {
  const std::optional<std::uint64_t> left = leading_number(response.headers.get("ratelimit-remaining"));
  if (!left || *left >= kFewLeft || quota_told_.exchange(true)) return;
  const std::string_view limit = response.headers.get("ratelimit-limit");
  observer_.log(sdk::Level::warning,
                fmt::format("{} lets {} more images be pulled{}; log in for more, or wait", host_, *left,
                            limit.empty() ? "" : fmt::format(" (limit {})", limit)));
}

}  // namespace pipes::oci
