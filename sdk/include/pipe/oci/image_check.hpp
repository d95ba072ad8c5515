#pragma once
// Whether a registry has all of an image, and whether it is sound.
#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/registry.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pipes::oci {

/// An image with everything it refers to, as a registry serves it.
struct ServedImage {
  Descriptor root{};
  std::vector<Manifest> manifests{};     // root first
  std::map<Digest, Descriptor> blobs{};  // configs and layers, each once
  std::vector<Descriptor> missing{};     // manifests that an index names and the registry has not
};

/// Reads every manifest below `root`, which the registry has. Throws what Registry::manifest throws, and
/// PIPE_E_INVALID where the index names more than a thousand.
ServedImage read_served(Registry &, const std::string &repository, const Descriptor &root,
                        const sdk::Observer &);

enum class BlobState { sound, missing, wrong };

struct BlobFinding {
  BlobState state = BlobState::sound;
  std::string what;  // "is missing", "has another size", "has other content", or what was said of it
};

/// HEAD: is it there, in its size?
BlobFinding look_at_blob(Registry &, const std::string &repository, const Descriptor &);
/// GET: does it hash to its digest? `each` is told of the bytes as they come, and may throw.
BlobFinding hash_blob(Registry &, const std::string &repository, const Descriptor &,
                      const std::function<void(std::size_t)> &each);

/// What to do about blobs whose bytes are damaged in the registry's storage.
inline constexpr std::string_view kDamagedRemedy =
    "push the image again from where it is whole; a registry that thinks it has the blob skips it, so delete "
    "the damaged file under its storage first, and restart it (it keeps blob descriptors in memory)";

}  // namespace pipes::oci
