#pragma once
// The certificates that Docker and Podman keep for a registry: containers-certs.d(5) and Docker's
// "Verify repository client with certificates". For .cpp files of this folder only.
#include <pipe/http/client.hpp>
#include <pipe/oci/registry.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace pipes::oci {

/// What the folders hold for one registry.
struct HostCertificates {
  std::string ca_pem;                   // of all *.crt
  std::string client_cert, client_key;  // NAME.cert and NAME.key: the first pair that is found
};

/// Folders with one folder HOST[:PORT] a registry.
class CertsDirs {
 public:
  /// The first folder that has a client certificate for a host wins; CAs of all of them are trusted.
  explicit CertsDirs(std::vector<std::filesystem::path> folders) : folders_(std::move(folders)) {}
  /// The user's (containers/certs.d and docker/certs.d in $XDG_CONFIG_HOME, else ~/.config), then those of
  /// /etc.
  static CertsDirs of_this_machine();

  /// `host` as in names; with port 443 and without one are the same host. A NAME.cert without its key, or
  /// the other way round, is PIPE_E_INVALID. What can't be read is named in a warning and left out: it may
  /// not be needed.
  HostCertificates find(const std::string &host, sdk::Observer &) const;

 private:
  std::vector<std::filesystem::path> folders_;
};

/// How to open connections to the registry `host`, which is reached at `address` (host[:port]): `options`
/// first, then what the folders hold for `host`. Throws PIPE_E_INVALID where a CA file of `options` can't
/// be used, or its key has no certificate.
http::ClientOptions client_options(const std::string &host, const std::string &address,
                                   const RegistryOptions &options, const CertsDirs &, sdk::Observer &);

}  // namespace pipes::oci
