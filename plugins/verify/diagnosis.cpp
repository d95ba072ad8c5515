#include "diagnosis.hpp"

#include <pipe/http/client.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace verify {
namespace {

/// A cause that words of a message give away. `{}` stands for host:port.
struct Known {
  std::string_view words, cause, remedy;
};

std::optional<Diagnosis> find(const auto &table, std::string_view text, const std::string &host) {
  for (const Known &known : table) {
    if (text.find(known.words) == std::string_view::npos) continue;
    return Diagnosis{fmt::format(fmt::runtime(known.cause), host),
                     fmt::format(fmt::runtime(known.remedy), host)};
  }
  return std::nullopt;
}

// libcurl's and OpenSSL's words for what is wrong with a certificate; the more particular ones first.
constexpr std::array kCertificate{
    Known{"expired", "the certificate of {} has expired",
          "issue a new one and restart the registry: it reads its certificate only when it starts"},
    Known{"not yet valid", "the certificate of {} is not valid yet, or this machine's clock is behind",
          "set the clock, or issue the certificate again"},
    Known{"subject name",
          "the certificate of {} is for other names: its subjectAltName does not have this host (the common "
          "name "
          "does not count)",
          "issue it again with the host of {} as DNS (or IP) in subjectAltName, or use a name that it has"},
    Known{"in certificate chain",
          "the certificate of {} is signed by an authority that this machine does not know",
          "name the authority's PEM file with `ca_file`; Docker wants it as /etc/docker/certs.d/{}/ca.crt"},
    Known{"self-signed", "the certificate of {} is signed by itself",
          "name the certificate's PEM file with `ca_file`; Docker wants it as /etc/docker/certs.d/{}/ca.crt"},
    Known{"unable to get local issuer",
          "the certificate of {} is signed by an authority that this machine does not know, or its "
          "intermediate "
          "certificates are not sent along",
          "name the authority's PEM file with `ca_file` (Docker wants it as /etc/docker/certs.d/{}/ca.crt); "
          "intermediates belong into the registry's certificate file, after its own"},
};

constexpr std::array kConnection{
    Known{"refused",
          "nothing listens there: the registry is not running, or publishes another port or address",
          "start it, and look at the port it publishes (docker ps, podman ps)"},
    Known{"without an answer",
          "something accepted the connection and closed it: the registry behind a published port is still "
          "starting, "
          "or keeps ending",
          "try again in a moment; if it stays, read the log of the registry's container"},
    Known{"broke",
          "the connection was reset: the registry is still starting, was restarted, or a proxy gave up",
          "try again in a moment; if it stays, read the log of the registry's container"},
    Known{"cut short", "the answer ended too early: the registry ended while it answered, or a proxy gave up",
          "read the logs of the registry and of the proxy before it"},
    Known{"(DNS)", "no name server that this machine asks knows the host of {}",
          "check the name; a name of your own needs an entry in DNS or /etc/hosts"},
};

// The words of pipe::oci for what a registry answered.
constexpr std::array kRegistry{
    Known{"speaks plain http",
          "{} speaks plain HTTP; only localhost and loopback addresses are asked so unasked",
          "give the registry a certificate, or set `insecure = true` (Docker: put \"{}\" into "
          "insecure-registries in "
          "/etc/docker/daemon.json and reload it)"},
    Known{"wants a login", "{} lets nobody in without a password, and none is stored for it",
          "log in: docker login {0} (or podman login {0})"},
    Known{"refuses to let the login",
          "the password stored for {} is wrong or has no right to this; a registry that reads an htpasswd "
          "file takes "
          "bcrypt hashes only (htpasswd -B), and refuses others without a word",
          "log in again: docker login {0}; or ask for the right"},
    Known{"refuses the login", "the token server of {} does not take the stored password",
          "log in again: docker login {0}"},
    Known{"a web page", "a web page answers in place of {}: a proxy's error page, or another server",
          "check host and port, and read the log of the proxy"},
};

std::optional<Diagnosis> diagnose_tls(const sdk::Error &error, const std::string &host) {
  const auto *tls = dynamic_cast<const pipes::http::TlsError *>(&error);
  if (!tls) return std::nullopt;
  using Reason = pipes::http::TlsError::Reason;
  if (tls->reason == Reason::certificate) return find(kCertificate, error.message, host);
  if (tls->reason == Reason::client_certificate)
    return Diagnosis{
        fmt::format("{} lets in only whoever shows it a certificate of a CA that it trusts", host),
        fmt::format("name one with `client_cert` and `client_key`, or put NAME.cert and NAME.key "
                    "into ~/.config/containers/certs.d/{}",
                    host)};
  return Diagnosis{
      fmt::format("{} does not finish a TLS handshake: it may want a client certificate, or speak "
                  "another protocol",
                  host),
      "check the port, and what its log says of the handshake"};
}

/// What HTTP statuses mean when something is being pushed.
std::optional<Diagnosis> diagnose_refused_write(int status, const std::string &host) {
  switch (status) {
    case 404:
      return Diagnosis{
          fmt::format("{} wants the project or repository to exist before something is pushed", host),
          "make it there, or choose another with `canary_repository`"};
    case 405:
      return Diagnosis{
          fmt::format("{} takes no uploads: it is read-only (for maintenance), or a pull-through cache",
                      host),
          "switch storage.maintenance.readonly off and restart it; to a cache nothing can be pushed"};
    case 413:
      return Diagnosis{"a proxy before the registry limits the size of a request",
                       "raise it (nginx: client_max_body_size 0)"};
    case 500:
    case 507:
      return Diagnosis{
          "the registry can't write: its disk is full, or its folder does not belong to its user",
          "read its log, and check free space and owner of what is mounted at /var/lib/registry"};
    default:
      return std::nullopt;
  }
}

/// The status in "can't push x: 413: …"; 0 if there is none.
int status_in(std::string_view message) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  for (auto at = message.find(": "); at != std::string_view::npos; at = message.find(": ", at + 1)) {
    const std::string_view rest = message.substr(at + 2);
    if (rest.size() < 3 || !std::ranges::all_of(rest.substr(0, 3), digit)) continue;
    if (rest.size() == 3 || rest[3] == ':') return std::stoi(std::string(rest.substr(0, 3)));
  }
  return 0;
}

bool is_json(std::string_view body) {
  return body.starts_with('{') || body.starts_with('[');
}

/// What HTTP statuses mean when GET /v2/ answers so.
std::optional<Diagnosis> diagnose_status(int status, const std::string &host) {
  switch (status) {
    case 400:
      return Diagnosis{"the server does not understand the request: often plain HTTP sent to an HTTPS port",
                       "leave `insecure` out if the registry has a certificate"};
    case 403:
      return Diagnosis{"something before the registry forbids it: a proxy's rule or a firewall",
                       "read the access log of the proxy, and allow this machine"};
    case 404:
      return Diagnosis{
          fmt::format("{} is an HTTP server, but not a registry's: nothing answers at /v2/", host),
          "check host and port; a proxy must hand /v2/ on with the path unchanged"};
    case 429:
      return Diagnosis{fmt::format("{} has had too many requests from this address", host),
                       "wait, or log in"};
    case 502:
    case 504:
      return Diagnosis{"a proxy answers, and the registry behind it does not",
                       "start the registry, and check the address that the proxy hands requests to"};
    case 503:
      return Diagnosis{
          "a health check of the registry itself fails (its storage can't be reached or written), or a proxy "
          "has no "
          "registry to hand the request to",
          "read the registry's log; its debug address shows the failing check at /debug/health"};
    default:
      break;
  }
  if (status >= 500) {
    return Diagnosis{fmt::format("{} fails to answer: its configuration or its storage", host),
                     "read the registry's log"};
  }
  return std::nullopt;
}

}  // namespace

bool is_html(std::string_view body) {
  const auto start = body.find_first_not_of(" \t\r\n");
  return start != std::string_view::npos && body[start] == '<';
}

bool wants_login(const sdk::Error &error) {
  return error.message.find("wants a login") != std::string::npos;
}

Diagnosis diagnose(const sdk::Error &error, const std::string &host, Doing doing) {
  if (auto d = diagnose_tls(error, host)) return *d;
  const int status = status_in(error.message);
  if (doing == Doing::writing) {
    if (auto d = diagnose_refused_write(status, host)) return *d;
  }
  if (auto d = find(kRegistry, error.message, host)) return *d;
  if (auto d = find(kConnection, error.message, host)) return *d;
  if (auto d = diagnose_status(status, host)) return *d;
  return {{}, error.hint};
}

std::optional<Diagnosis> diagnose(const oci::Registry::Ping &ping, const std::string &host) {
  Diagnosis web{fmt::format("a web page answers: {} is a web server or a proxy's page, not a registry", host),
                "check host and port; a proxy must hand /v2/ on to the registry"};
  if (ping.status == 401) {
    if (!ping.challenge.empty()) return std::nullopt;
    return Diagnosis{"401 without WWW-Authenticate: a proxy asks for a password in a way of its own",
                     "let the registry ask, or make the proxy send `WWW-Authenticate: Basic realm=…`"};
  }
  if (ping.status == 200) {
    if (!ping.api_version.empty() || ping.body_start.empty() || is_json(ping.body_start)) return std::nullopt;
    return web;
  }
  if (ping.status < 500 && is_html(ping.body_start) && ping.status != 403) return web;
  if (auto d = diagnose_status(ping.status, host)) return d;
  return Diagnosis{fmt::format("{} gives an answer that no registry gives", host), "check host and port"};
}

pipe_status status_of(int http_status) {
  if (http_status == 401 || http_status == 403) return PIPE_E_DENIED;
  if (http_status == 429 || http_status >= 500) return PIPE_E_TRANSIENT;
  return PIPE_E_MISMATCH;
}

Result failure(std::string check, std::string asked, const sdk::Error &error, const std::string &host,
               Doing doing) {
  if (error.status == PIPE_E_CANCELLED) throw error;
  Diagnosis d = diagnose(error, host, doing);
  return {.check = std::move(check),
          .asked = std::move(asked),
          .came = error.message,
          .cause = std::move(d.cause),
          .remedy = std::move(d.remedy),
          .status = error.status};
}

}  // namespace verify
