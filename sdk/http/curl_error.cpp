#include "curl_error.hpp"

#include <curl/curl.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pipes::http {
namespace {

std::string place(const std::string &url, const ClientOptions &options) {
  if (!options.unix_socket.empty()) return options.unix_socket;
  const Origin origin = Origin::of(url);
  return origin.host + ":" + std::to_string(origin.port);
}

[[noreturn]] void throw_unconnected(const Failure &failure, const std::string &where,
                                    const ClientOptions &options) {
  const std::string why = failure.os_error != 0 ? std::strerror(failure.os_error) : failure.text;
  if (!options.unix_socket.empty()) {
    if (failure.os_error == EACCES || failure.os_error == EPERM)
      throw sdk::Error(PIPE_E_DENIED, "may not open the socket " + where + ": " + why,
                       "run as a user (or in the group) that may use it");
    if (failure.os_error == ENOENT)
      throw sdk::Error(PIPE_E_NOT_FOUND, "there is no socket " + where, "is the service running?");
  }
  throw Unreachable(PIPE_E_TRANSIENT, "can't connect to " + where + ": " + why,
                    failure.os_error == ECONNREFUSED
                        ? "nothing listens there: check host and port, and that the service is up"
                        : "check the address and the network");
}

/// Whether the server ended the connection over our certificate, or over there being none. With TLS 1.3
/// that comes after the handshake, when the answer is read.
bool is_about_client_certificate(const std::string &text) {
  for (const char *alert : {"alert certificate required", "alert bad certificate", "alert unknown ca",
                            "alert certificate expired", "alert certificate revoked",
                            "alert certificate unknown", "alert unsupported certificate"})
    if (text.find(alert) != std::string::npos) return true;
  return false;
}

[[noreturn]] void throw_client_certificate(const Failure &failure, const std::string &where,
                                           const ClientOptions &options) {
  constexpr auto kReason = TlsError::Reason::client_certificate;
  if (options.client_cert.empty())
    throw TlsError(kReason, where + " wants a client certificate, and there is none for it",
                   "name one with client_cert and client_key");
  throw TlsError(kReason,
                 where + " does not take the client certificate " + options.client_cert + ": " + failure.text,
                 "it must be one that is still valid, of a CA which that server trusts");
}

/// What helps with a certificate that is not good enough, by what libcurl and OpenSSL say of it.
std::string remedy(const std::string &text) {
  const auto says = [&](const char *part) { return text.find(part) != std::string::npos; };
  if (says("subject name") || says("does not match"))
    return "it is for other names: address the server by one of those, or give it a certificate for this one";
  if (says("has expired") || says("not yet valid"))
    return "it needs a new one, unless the clock of this machine is wrong";
  return "if it is signed by a CA of your own, name that CA with ca_file (in copy and sync from_ca_file and "
         "to_ca_file)";
}

[[noreturn]] void throw_tls(const Failure &failure, const std::string &where, const ClientOptions &options) {
  using Reason = TlsError::Reason;
  if (is_about_client_certificate(failure.text)) throw_client_certificate(failure, where, options);
  if (failure.code == CURLE_PEER_FAILED_VERIFICATION)
    throw TlsError(Reason::certificate, "the certificate of " + where + " can't be trusted: " + failure.text,
                   remedy(failure.text));
  // OpenSSL read "HTTP/1.x" where a TLS record should be.
  if (failure.text.find("wrong version number") != std::string::npos ||
      failure.text.find("packet length too long") != std::string::npos)
    throw TlsError(Reason::speaks_plain_http, where + " was asked by https but does not speak TLS",
                   "it may be a plain http server");
  throw TlsError(Reason::handshake, "no TLS connection with " + where + ": " + failure.text,
                 "check that it is an https server, and what it asks for (versions, a client certificate)");
}

}  // namespace

void throw_failure(const Failure &failure, const std::string &url, const ClientOptions &options) {
  const std::string where = place(url, options);
  switch (failure.code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      throw Unreachable(PIPE_E_TRANSIENT, "can't find the host " + Origin::of(url).host + " (DNS)",
                        "check the name, and that this machine can resolve names");
    case CURLE_COULDNT_RESOLVE_PROXY:
      throw Unreachable(PIPE_E_TRANSIENT, "can't find the proxy's host (DNS)",
                        "check http_proxy and https_proxy");
    case CURLE_COULDNT_CONNECT:
      throw_unconnected(failure, where, options);
    case CURLE_OPERATION_TIMEDOUT:
      throw sdk::Error(
          PIPE_E_TIMEOUT,
          failure.connected ? where + " did not answer in time" : "no connection to " + where + " in time",
          "check the address, the network and any firewall between");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ISSUER_ERROR:
      throw_tls(failure, where, options);
    case CURLE_SSL_CACERT_BADFILE:
      throw sdk::Error(PIPE_E_INVALID, "can't use the CA file " + options.ca_file + ": " + failure.text,
                       "it must be a readable PEM file");
    case CURLE_SSL_CERTPROBLEM:
      throw sdk::Error(PIPE_E_INVALID,
                       "can't use the client certificate " + options.client_cert +
                           (options.client_key.empty() ? "" : " with the key " + options.client_key) + ": " +
                           failure.text,
                       "certificate and key must be readable PEM files that belong together, the key "
                       "without a passphrase");
    case CURLE_GOT_NOTHING:
      throw sdk::Error(PIPE_E_TRANSIENT, where + " closed the connection without an answer");
    case CURLE_PARTIAL_FILE:
      throw sdk::Error(PIPE_E_TRANSIENT, "the answer of " + where + " was cut short");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      if (is_about_client_certificate(failure.text)) throw_client_certificate(failure, where, options);
      throw sdk::Error(PIPE_E_TRANSIENT, "the connection to " + where + " broke: " + failure.text);
    case CURLE_SEND_FAIL_REWIND:  // it broke after some of the body was sent, and libcurl would begin anew
      throw sdk::Error(PIPE_E_TRANSIENT, "the connection to " + where + " broke while it was sent to");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      throw sdk::Error(PIPE_E_INVALID, where + " answers, but does not speak HTTP", "check the port");
    case CURLE_OUT_OF_MEMORY:
      throw std::bad_alloc();
    default:
      throw sdk::Error(PIPE_E_TRANSIENT, "the request to " + where + " failed: " + failure.text);
  }
}

}  // namespace pipes::http
