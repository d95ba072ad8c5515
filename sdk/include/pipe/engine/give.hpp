#pragma once
// Between the image store and an engine.
#include <pipe/engine/engine.hpp>
#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/store.hpp>

#include <string>

namespace pipes::engine {

/// The manifest for this machine's platform behind `image`, which may be an index.
oci::Manifest manifest_for_engine(const oci::Store &, const oci::Descriptor &image);

/// Whether an engine's image of that ID is `manifest`: IDs are the digest of the config (graph drivers,
/// Podman) or of the manifest (containerd).
bool is_image(std::string_view id, const oci::Manifest &manifest);

/// Sees to it that the engine has `image` under `name`: loads it unless it is there (all of it: no engine
/// says which layers it has). Returns its ID. `take` knows it again then, with the digest that it has here.
std::string give(Engine &, const oci::Store &, const oci::Descriptor &image, const std::string &name,
                 sdk::Observer &);

}  // namespace pipes::engine
