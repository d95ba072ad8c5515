#pragma once
// One HTTP exchange at a time over libcurl, with connections that are kept and the rule that credentials
// stay with their origin. Redirects are followed here, not by libcurl, so that the rule holds for them.
#include <pipe/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pipes::http {

/// Gives the next bytes of a body, at most `size`; 0 at its end.
using Source = std::function<std::size_t(char *data, std::size_t size)>;
/// Takes the next bytes of a body.
using Sink = std::function<void(const char *data, std::size_t size)>;

struct Headers {
  std::vector<std::pair<std::string, std::string>> list;  // names in lower case, as they came
  /// The last one of that name (lower case), or empty.
  std::string_view get(std::string_view name) const;
  std::vector<std::string_view> all(std::string_view name) const;
};

/// scheme, host, port: what credentials belong to.
struct Origin {
  std::string scheme, host;
  int port = 0;
  /// Throws sdk::Error{PIPE_E_INVALID}: no http(s) URL, userinfo in it.
  static Origin of(std::string_view url);
  std::string str() const;
  bool loopback() const;  // a loopback literal or "localhost"
  auto operator<=>(const Origin &) const = default;
};
/// `location` against `base` (RFC 3986, section 5).
std::string resolve_url(std::string_view base, std::string_view location);
/// Percent-encodes what may not stand in a query or path component.
std::string encode_component(std::string_view text);
/// Without userinfo and query: fit for a message.
std::string display_url(std::string_view url);

/// A date of HTTP (RFC 9110, section 5.6.7) in seconds since 1970; nullopt if it is none.
std::optional<std::int64_t> parse_date(std::string_view text);

/// Where an address lies. What comes out of an answer (a redirect, a token realm, an upload location) may
/// send us to the internet, else only into the network where the answer came from: never from the
/// internet to this machine or into the local network. Checked after DNS.
enum class Zone { internet, private_network, loopback, link_local };

/// The other side's TLS is not what it has to be. `sdk::Error` for those who need not tell.
class TlsError : public sdk::Error {
 public:
  /// `client_certificate`: it wants one from us, or does not take the one it got.
  enum class Reason { certificate, client_certificate, handshake, speaks_plain_http };
  TlsError(Reason why, std::string text, std::string remedy = {})
      : Error(status_of(why), std::move(text), std::move(remedy)), reason(why) {}
  Reason reason;

 private:
  static pipe_status status_of(Reason why) {
    if (why == Reason::certificate) return PIPE_E_MISMATCH;
    return why == Reason::client_certificate ? PIPE_E_DENIED : PIPE_E_TRANSIENT;
  }
};

/// There is no way to the host: no such name, nobody listens, no route.
class Unreachable : public sdk::Error {
 public:
  using Error::Error;
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
  std::string url;             // where the answer came from, after redirects
  Zone zone = Zone::internet;  // of the server that was asked first, before redirects
};

struct Request {
  std::string method = "GET", url{};
  std::vector<std::pair<std::string, std::string>> headers{};
  /// Goes to the URL's own origin only, never along a redirect elsewhere.
  std::string authorization{};
  /// What is sent: `body`, or what `source` gives, `body_size` bytes of it (none: chunked).
  std::string body{};
  Source source{};
  std::optional<std::uint64_t> body_size{};
  /// Takes the body of a 2xx; without it that goes to Response::body.
  Sink sink{};
  /// Of the body that goes to `sink`, where that is known; as `body_size` does, it says how large the buffers
  /// have to be.
  std::optional<std::uint64_t> expected_size{};
  /// Sees status and headers of a 2xx just before the first byte goes to `sink`.
  std::function<void(const Response &)> start{};
  /// Of Response::body; more is PIPE_E_INVALID (the bodies of errors are cut instead).
  std::size_t max_body = 8u << 20;
  bool follow = true;  // redirects, of GET and HEAD
  /// Asked twice a second: true ends it with PIPE_E_CANCELLED.
  std::function<bool()> give_up{};
  /// Set where an answer named this URL: where that answer came from.
  std::optional<Zone> sent_by{};
  /// Neither a byte up nor down for so long is PIPE_E_TIMEOUT; 0: never.
  std::chrono::milliseconds no_progress{60'000};
};

struct ClientOptions {
  std::string unix_socket{};  // for engines
  std::string ca_file{}, client_cert{}, client_key{};
  /// Certificates to trust besides the system's, as PEM text; `ca_file` is not read then.
  std::string ca_pem{};
  /// The one host (no port) that `client_cert` is shown to; empty: whoever asks for one.
  std::string client_cert_host{};
  bool verify = true;
  std::chrono::milliseconds connect_timeout{10'000};
  bool allow_private_redirects = false;  // switches the rule of Zone off
};

/// For one thread. Connections are kept between requests. Throws sdk::Error: PIPE_E_TRANSIENT (refused,
/// reset, no route, DNS, cut short, TLS handshake), PIPE_E_TIMEOUT, PIPE_E_MISMATCH (certificate),
/// PIPE_E_DENIED (a redirect that must not be followed; a unix socket that may not be opened; a client
/// certificate that is missing or refused),
/// PIPE_E_NOT_FOUND (no such unix socket), PIPE_E_INVALID (no HTTP), PIPE_E_CANCELLED. TLS failures are
/// TlsError. What `source` or `sink` throws comes through. A status is never an error here.
///
/// Proxies are those of http_proxy, https_proxy, all_proxy and no_proxy, never for loopback hosts.
class Client {
 public:
  Client(ClientOptions, sdk::Observer &);
  Client(Client &&) noexcept;
  Client &operator=(Client &&) noexcept;
  ~Client();
  Response send(const Request &);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pipes::http
