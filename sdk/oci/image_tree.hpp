#pragma once
// An image as a whole: its manifests, children before their index, and every blob once. For .cpp files
// of this folder only.
#include <pipe/oci/manifest.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace pipes::oci {

struct ImageTree {
  std::vector<Manifest> manifests;  // the root is the last one
  std::vector<Descriptor> blobs;    // configs and layers, largest first

  const Manifest &root() const { return manifests.back(); }
  std::uint64_t blob_bytes() const;
};

/// Walks over an image. `read` gets all manifests of one level; it may do so at once. Throws
/// PIPE_E_INVALID where indexes are nested beyond reason.
using ReadManifests = std::function<std::vector<Manifest>(const std::vector<Descriptor> &)>;
ImageTree walk_image(Manifest root, const ReadManifests &read);

/// The image for a platform, through indexes in indexes. Throws PIPE_E_INVALID where they are nested beyond
/// reason, and what select_platform throws.
struct OfPlatform {
  Manifest manifest;
  std::optional<Descriptor> entry;  // that it was chosen by; none: the root is no index
};
OfPlatform descend(Manifest root, const Platform &, const std::function<Manifest(const Descriptor &)> &read);

/// A layer that may be distributed only by its owner, and lies there ("urls").
bool is_foreign(const Descriptor &);

}  // namespace pipes::oci
