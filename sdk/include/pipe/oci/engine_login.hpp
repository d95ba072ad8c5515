#pragma once
// The login for a registry, as a container engine takes it.
#include <pipe/error.hpp>
#include <pipe/oci/registry.hpp>

#include <string>

namespace pipes::oci {

/// X-Registry-Auth of the Docker Engine API for `registry` (as in names): what Docker and Podman keep for it,
/// or that there is none. It holds a secret. (base64 with the alphabet of URLs and padding: an engine takes
/// another text for no login, without a word.) Throws PIPE_E_INVALID for a login that is no UTF-8.
std::string engine_login(const std::string &registry, const std::string &repository, const RegistryOptions &,
                         const sdk::Observer &);

}  // namespace pipes::oci
