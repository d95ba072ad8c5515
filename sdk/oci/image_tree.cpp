#include "image_tree.hpp"

#include <pipe/error.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace pipes::oci {
namespace {

void check_depth(int depth) {
  constexpr int kMaxDepth = 4;
  if (depth > kMaxDepth) throw sdk::Error(PIPE_E_INVALID, "the image's indexes are nested too deeply");
}

}  // namespace

std::uint64_t ImageTree::blob_bytes() const {
  std::uint64_t bytes = 0;
  for (const Descriptor &blob : blobs) bytes += blob.size;
  return bytes;
}

OfPlatform descend(Manifest root, const Platform &platform,
                   const std::function<Manifest(const Descriptor &)> &read) {
  OfPlatform found{std::move(root), std::nullopt};
  for (int depth = 1; found.manifest.is_index(); ++depth) {
    check_depth(depth);
    found.entry = select_platform(found.manifest, platform);
    found.manifest = read(*found.entry);
  }
  return found;
}

ImageTree walk_image(Manifest root, const ReadManifests &read) {
  ImageTree tree;
  std::set<Digest> seen_manifests{root.digest}, seen_blobs;
  std::vector<Manifest> level;
  level.push_back(std::move(root));
  for (int depth = 0; !level.empty(); ++depth) {
    check_depth(depth);
    std::vector<Descriptor> children;
    for (const Manifest &manifest : level) {
      for (const Descriptor &child : manifest.manifests)
        if (seen_manifests.insert(child.digest).second) children.push_back(child);
      if (manifest.config && seen_blobs.insert(manifest.config->digest).second)
        tree.blobs.push_back(*manifest.config);
      for (const Descriptor &layer : manifest.layers)
        if (seen_blobs.insert(layer.digest).second) tree.blobs.push_back(layer);
    }
    std::ranges::move(level, std::back_inserter(tree.manifests));
    level = children.empty() ? std::vector<Manifest>() : read(children);
  }
  // Level by level from the root: turned around, children come before their index.
  std::ranges::reverse(tree.manifests);
  std::ranges::stable_sort(tree.blobs, std::ranges::greater(), &Descriptor::size);
  return tree;
}

bool is_foreign(const Descriptor &layer) {
  return layer.media_type.find("nondistributable") != std::string::npos ||
         layer.media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
}

}  // namespace pipes::oci
