#include <fmt/core.h>
#include <pipe/oci/digest.hpp>
#include <pipe/oci/image_check.hpp>

#include <set>

#include "image_tree.hpp"

namespace pipes::oci {
namespace {

constexpr std::size_t kMaxManifests = 1000;  // in one image, all levels of indexes together

void add_blobs(const Manifest &manifest, ServedImage &image) {
  if (manifest.config) image.blobs.emplace(manifest.config->digest, *manifest.config);
  for (const Descriptor &layer : manifest.layers)
    if (!is_foreign(layer)) image.blobs.emplace(layer.digest, layer);
}

}  // namespace

ServedImage read_served(Registry &registry, const std::string &repository, const Descriptor &root,
                        const sdk::Observer &observer) {
  ServedImage image{.root = root};
  std::vector<Descriptor> queue{root};
  std::set<Digest> seen{root.digest};
  for (std::size_t i = 0; i < queue.size(); ++i) {
    observer.check_cancelled();
    try {
      image.manifests.push_back(registry.manifest(repository, queue[i].digest.str()));
    } catch (const sdk::Error &error) {
      if (i == 0 || error.status != PIPE_E_NOT_FOUND) throw;
      image.missing.push_back(queue[i]);
      continue;
    }
    const Manifest &manifest = image.manifests.back();
    add_blobs(manifest, image);
    for (const Descriptor &child : manifest.manifests) {
      if (!seen.insert(child.digest).second) continue;
      if (queue.size() == kMaxManifests)
        throw sdk::Error(PIPE_E_INVALID,
                         fmt::format("the index names more than {} manifests", kMaxManifests));
      queue.push_back(child);
    }
  }
  return image;
}

BlobFinding look_at_blob(Registry &registry, const std::string &repository, const Descriptor &blob) {
  try {
    if (!registry.has_blob(repository, blob)) return {BlobState::missing, "is missing"};
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_MISMATCH) throw;
    return {BlobState::wrong, "has another size"};
  }
  return {};
}

BlobFinding hash_blob(Registry &registry, const std::string &repository, const Descriptor &blob,
                      const std::function<void(std::size_t)> &each) {
  Hasher hasher(blob.digest.algorithm());
  try {
    registry.get_blob(repository, blob, [&](const char *data, std::size_t size) {
      hasher.update(data, size);
      each(size);
    });
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_NOT_FOUND) return {BlobState::missing, "is missing"};
    // The message says what did not fit: size, range, digest.
    if (error.status == PIPE_E_MISMATCH)
      return {BlobState::wrong, "does not come as it is: " + error.message};
    throw;
  }
  if (hasher.finish() != blob.digest) return {BlobState::wrong, "has other content"};
  return {};
}

}  // namespace pipes::oci
