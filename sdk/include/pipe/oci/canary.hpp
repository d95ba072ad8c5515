#pragma once
// An image that is sent to a registry to see whether it takes images, and gives them back.
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/registry.hpp>

#include <string>
#include <string_view>

namespace pipes::oci {

/// The smallest image there is: an empty tar archive, and a config.
struct Canary {
  std::string layer, config;
  Descriptor layer_descriptor, config_descriptor;
  Manifest manifest;
};
/// One with the same `nonce` has the same digest.
Canary make_canary(std::string_view nonce);

/// Pushes it, blobs whether they are there or not, and pulls it by tag and by digest. `stage` says what is
/// being done. Throws what Registry throws, and PIPE_E_MISMATCH where something else comes back.
void fly(Registry &, const std::string &repository, const std::string &tag, const Canary &,
         std::string &stage);

}  // namespace pipes::oci
