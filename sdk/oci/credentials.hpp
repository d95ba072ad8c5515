#pragma once
// The credentials that Docker and Podman keep. For .cpp files of this folder only.
#include <pipe/error.hpp>
#include <pipe/oci/credential_source.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

/// What logs in at one registry.
struct Credentials {
  std::string username, password;
  std::string identity_token;  // OAuth2 refresh token, instead of a password
  std::string registry_token;  // a bearer token, ready to use
  std::string source;  // where they come from, for people: a file, or a helper and the file that names it
  /// Why a place that should have had some gave none: a helper that is not installed, a broken file.
  std::string problem;

  bool empty() const { return username.empty() && identity_token.empty() && registry_token.empty(); }
};

/// Looks for the credentials of one repository, first match wins: $REGISTRY_AUTH_FILE,
/// $DOCKER_AUTH_CONFIG (JSON), $DOCKER_CONFIG/config.json or ~/.docker/config.json,
/// $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json. In each of them credHelpers,
/// then credsStore, then auths. Only what is filed under this very registry counts. What goes wrong on
/// the way is a `problem`, not an error: many images need no login.
Credentials find_credentials(const std::string &registry, const std::string &repository,
                             const sdk::Observer &);

/// The same in one such document; `place` is its name for people.
Credentials find_in_config(std::string_view json, const std::string &place, const std::string &registry,
                           const std::string &repository, const sdk::Observer &);

}  // namespace pipes::oci
