// The blobs of a store that nothing leads to.
#include <fmt/core.h>
#include <pipe/oci/maintenance.hpp>

#include <unistd.h>

#include <cerrno>
#include <set>

#include "file.hpp"
#include "layout_index.hpp"
#include "sole_use.hpp"
#include "stored_tree.hpp"

namespace pipes::oci {
namespace {

/// Everything that the entries of the index lead to, those without a name as well: other tools make such.
std::set<Digest> reachable(const Store &store) {
  std::set<Digest> reached;
  for (const StoredImage &image : load_images(store.path())) {
    const StoredTree tree = read_stored(store, image.descriptor);
    if (!tree.bad.empty())
      throw sdk::Error(
          PIPE_E_MISMATCH,
          fmt::format("what {} needs can't be told: {}",
                      image.name.empty() ? image.descriptor.digest.str() : image.name, tree.bad.front().why),
          "mend the store first: `pipe image fsck` says how");
    for (const Manifest &manifest : tree.manifests) reached.insert(manifest.digest);
    for (const Descriptor &blob : tree.blobs) reached.insert(blob.digest);
  }
  return reached;
}

}  // namespace

Garbage find_garbage(const Store &store) {
  // Files first: what gets its name meanwhile is no garbage.
  const std::vector<BlobFile> files = blob_files(store);
  const std::set<Digest> reached = reachable(store);
  Garbage garbage;
  for (const BlobFile &file : files) {
    if (reached.contains(file.digest)) {
      ++garbage.kept;
      garbage.kept_bytes += file.size;
    } else {
      garbage.blobs.push_back(file.digest);
      garbage.bytes += file.size;
    }
  }
  return garbage;
}

Garbage collect_garbage(Store &store, std::chrono::milliseconds wait, sdk::Observer &observer) {
  const SoleUse alone(store, wait, observer);
  Garbage garbage = find_garbage(store);
  for (const Digest &digest : garbage.blobs) {
    const std::filesystem::path path = store.blob_path(digest);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) throw_io("remove", path, errno);
  }
  return garbage;
}

}  // namespace pipes::oci
