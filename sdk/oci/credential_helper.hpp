#pragma once
// docker-credential-<name> (docker-credential-helpers, "Development"). For .cpp files of this folder only.
#include <pipe/error.hpp>

#include <string>

#include "credentials.hpp"

namespace pipes::oci {

/// Asks `docker-credential-<name> get` for `server`. Empty credentials without a problem: it has none.
Credentials ask_credential_helper(const std::string &name, const std::string &server, const sdk::Observer &);

}  // namespace pipes::oci
