#pragma once
// An image that nobody needs, to see whether one can be pushed and pulled.
#include <pipe/oci/canary.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace verify {

/// Here: one layer, with a file in it that does not compress.
using CanaryImage = pipes::oci::Canary;

/// `nonce` makes the config one that no other canary has; `seed` the content of the layer, `size` bytes of
/// it.
CanaryImage make_canary(std::string_view nonce, std::string_view seed, std::size_t size);
/// 16 hex digits.
std::string random_nonce();
/// The image under `name` as an archive that an engine loads.
std::string canary_archive(const CanaryImage &, std::string_view name);

}  // namespace verify
