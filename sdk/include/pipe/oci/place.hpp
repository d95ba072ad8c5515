#pragma once
// Where a repository really lies, as the machine's owner has set it (containers-registries.conf(5)).
#include <pipe/oci/reference.hpp>
#include <pipe/oci/registry.hpp>

namespace pipes::oci {

struct Place {
  Reference reference;  // with the host and the repository to ask
  RegistryOptions options;
};

/// Where an image of that name is written to, and where what is there is looked at and deleted: another
/// `location`, where registries.conf says so, never a mirror. `options` as the step has them, `insecure`
/// where the settings allow it. Throws PIPE_E_DENIED where the settings block it.
Place place_of(const Reference &, const RegistryOptions &);

}  // namespace pipes::oci
