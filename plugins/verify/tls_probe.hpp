#pragma once
// TLS handshakes of our own: libcurl does not tell how long a certificate lasts before it has expired.
#include <cstdint>
#include <optional>
#include <string>

namespace verify {

/// What a server showed in one handshake, whether or not it may be trusted.
struct Handshake {
  std::string version;         // "TLSv1.3"
  std::string subject;         // of the certificate that ends first
  std::int64_t not_after = 0;  // seconds since 1970: the earliest end in the chain that it sent
};

enum class Speak { any, old };  // old: TLS 1.0 and 1.1 only

/// Nothing where there is no handshake: nobody listens, or no version in common.
std::optional<Handshake> shake_hands(const std::string &host, int port, Speak);

}  // namespace verify
