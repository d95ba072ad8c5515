#pragma once
// Keys and certificates (RFC 5280), by OpenSSL.
#include <openssl/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace certificate {

using Clock = std::chrono::system_clock;
using Days = std::chrono::duration<std::int64_t, std::ratio<86400>>;

/// A private key.
class Key {
 public:
  /// P-256.
  static Key make();
  /// nullopt where the text holds none; throws PIPE_E_INVALID where it wants a passphrase.
  static std::optional<Key> parse(const std::string &pem, const std::string &file);
  std::string pem() const;  // PKCS#8
  EVP_PKEY *get() const { return key_.get(); }

 private:
  explicit Key(EVP_PKEY *key);
  std::shared_ptr<EVP_PKEY> key_;
};

/// A host that a certificate is good for: a DNS name or an IP address, without a port.
struct Host {
  std::string name;
  bool is_address = false;
  /// "registry.lan", "*.lan", "10.0.0.1", "[::1]:5000", "registry.lan:5000". Throws PIPE_E_INVALID.
  static Host parse(std::string_view text);
};

class Certificate {
 public:
  /// An authority that may sign servers and nothing below itself.
  static Certificate authority(const std::string &name, const Key &, Days valid);
  /// A server's, signed by `authority`; it does not outlive it.
  static Certificate server(const std::vector<Host> &, const Key &, const Certificate &authority,
                            const Key &authority_key, Days valid);
  /// All that a PEM text holds, in its order.
  static std::vector<Certificate> parse(const std::string &pem);

  std::string pem() const;
  std::string subject() const;
  std::string issuer() const;
  /// SHA-256 of its DER form, in hexadecimal: what `openssl x509 -fingerprint -sha256` prints, without
  /// colons.
  std::string fingerprint() const;
  Clock::time_point begin() const;
  Clock::time_point end() const;
  bool is_authority() const;
  bool may_serve() const;  // extendedKeyUsage has serverAuth, or there is none
  bool has_alternative_names() const;
  std::vector<std::string> names() const;  // of subjectAltName, sorted
  bool is_for(const Host &) const;         // by subjectAltName; the common name does not count
  bool has(const Key &) const;
  bool signed_by(const Certificate &authority) const;
  X509 *get() const { return certificate_.get(); }

 private:
  explicit Certificate(X509 *certificate);
  std::shared_ptr<X509> certificate_;
};

/// What stands between `chain` (leaf first) and the trust of a client: OpenSSL's words, empty where nothing
/// does. `roots` empty: the system's. Expiry is looked at, too.
std::string chain_problem(const std::vector<Certificate> &chain, const std::vector<Certificate> &roots);

/// "2027-11-24"
std::string date_text(Clock::time_point);

}  // namespace certificate
