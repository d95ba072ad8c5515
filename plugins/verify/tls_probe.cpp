#include "tls_probe.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <pipe/free.hpp>

#include <ctime>
#include <memory>

namespace verify {
namespace {

constexpr long kSeconds = 10;

using pipes::sdk::Free;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Stream = std::unique_ptr<BIO, Free<BIO_free_all>>;

Context make_context(Speak speak) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return context;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // seen here, judged by libcurl
  if (speak == Speak::any) return context;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");  // else OpenSSL 3 does not offer them
  return context;
}

std::int64_t seconds_of(const ASN1_TIME *time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

Handshake read(const SSL *ssl) {
  Handshake seen{.version = SSL_get_version(ssl), .subject = {}};
  const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; chain && i < sk_X509_num(chain); ++i) {
    const X509 *certificate = sk_X509_value(chain, i);
    const std::int64_t end = seconds_of(X509_get0_notAfter(certificate));
    if (i > 0 && end >= seen.not_after) continue;
    seen.not_after = end;
    char *name = X509_NAME_oneline(X509_get_subject_name(certificate), nullptr, 0);
    seen.subject = name ? name : "";
    OPENSSL_free(name);
  }
  return seen;
}

}  // namespace

std::optional<Handshake> shake_hands(const std::string &host, int port, Speak speak) {
  const Context context = make_context(speak);
  if (!context) return std::nullopt;
  const Stream stream(BIO_new_ssl_connect(context.get()));
  SSL *ssl = nullptr;
  if (!stream || BIO_get_ssl(stream.get(), &ssl) <= 0 || !ssl) return std::nullopt;
  BIO_set_conn_hostname(stream.get(), host.c_str());
  BIO_set_conn_port(stream.get(), std::to_string(port).c_str());
  // What SSL_set_tlsext_host_name() is, without its cast. Addresses are no names (RFC 6066, section 3).
  if (host.find_first_not_of("0123456789.:") != std::string::npos)
    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char *>(host.c_str()));
  // The time limit is the socket's: it has to be there before the handshake reads from it.
  BIO *connection = BIO_next(stream.get());
  const bool connected = BIO_do_connect(connection) == 1;
  int fd = -1;
  if (!connected || BIO_get_fd(connection, &fd) < 0) return std::nullopt;
  const timeval limit{kSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const bool done = BIO_do_handshake(stream.get()) == 1;
  ERR_clear_error();
  if (!done) return std::nullopt;
  return read(ssl);
}

}  // namespace verify
