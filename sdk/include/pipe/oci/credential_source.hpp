#pragma once
// Where the login for a registry would come from, without the login.
#include <pipe/error.hpp>

#include <string>

namespace pipes::oci {

/// Holds no secret.
struct CredentialSource {
  std::string source;    // a file, or a helper and the file that names it; empty: there is none
  std::string username;  // may be empty where a token is used
  std::string kind;      // "password", "identity token", "registry token"
  std::string problem;   // why a place that should have had a login gave none
};

/// What would log in at `registry` (as in names: "docker.io") for `repository`. Helpers are asked.
CredentialSource find_credential_source(const std::string &registry, const std::string &repository,
                                        const sdk::Observer &);

}  // namespace pipes::oci
