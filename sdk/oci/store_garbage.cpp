// The blobs of a store that nothing leads to.
#include <fmt/core.h>
#include <pipe/oci/maintenance.hpp>

#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "file.hpp"
#include "layer_memory.hpp"
#include "layout_index.hpp"
#include "sole_use.hpp"
#include "stored_tree.hpp"

namespace pipes::oci {
namespace {

/// What a store's index leads to.
class Reach {
 public:
  /// All entries count, those without a name as well: other tools make such. What is attached to an image
  /// counts while the image is there.
  explicit Reach(const Store &store) : store_(store) {
    for (StoredImage &image : load_images(store.path())) {
      if (attached_to(image.name))
        loose_.push_back(std::move(image));
      else
        add(image);
    }
    // Again and again, as a signature may be attached to a referrer.
    while (std::erase_if(loose_, [&](const StoredImage &image) { return follow(image); }) > 0) {
    }
  }
  bool contains(const Digest &digest) const { return digests_.contains(digest); }
  /// What is attached to images that are gone.
  const std::vector<StoredImage> &loose() const { return loose_; }
  void add(const StoredImage &image) {
    const StoredTree tree = read_stored(store_, image.descriptor);
    if (!tree.bad.empty())
      throw sdk::Error(
          PIPE_E_MISMATCH,
          fmt::format("what {} needs can't be told: {}",
                      image.name.empty() ? image.descriptor.digest.str() : image.name, tree.bad.front().why),
          "mend the store first: `pipe image fsck` says how");
    for (const Manifest &manifest : tree.manifests) digests_.insert(manifest.digest);
    for (const Descriptor &blob : tree.blobs) digests_.insert(blob.digest);
  }

 private:
  /// False where the image that it belongs to is not there.
  bool follow(const StoredImage &attached) {
    if (!contains(*attached_to(attached.name))) return false;
    add(attached);
    return true;
  }

  const Store &store_;
  std::set<Digest> digests_;
  std::vector<StoredImage> loose_;
};

Garbage sorted_out(const std::vector<BlobFile> &files, const Reach &reach) {
  Garbage garbage;
  for (const BlobFile &file : files) {
    if (reach.contains(file.digest)) {
      ++garbage.kept;
      garbage.kept_bytes += file.size;
    } else {
      garbage.blobs.push_back(file.digest);
      garbage.bytes += file.size;
    }
  }
  for (const StoredImage &image : reach.loose()) garbage.names.push_back(image.name);
  return garbage;
}

void remove(const Store &store, const std::vector<Digest> &blobs) {
  for (const Digest &digest : blobs) {
    const std::filesystem::path path = store.blob_path(digest);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) throw_io("remove", path, errno);
  }
}

}  // namespace

Garbage find_garbage(const Store &store) {
  // Files first: what gets its name meanwhile is no garbage.
  const std::vector<BlobFile> files = blob_files(store);
  return sorted_out(files, Reach(store));
}

Garbage collect_garbage(Store &store, std::chrono::milliseconds wait, sdk::Observer &observer) {
  const SoleUse alone(store, wait, observer);
  const std::vector<BlobFile> files = blob_files(store);
  Reach reach(store);
  Garbage garbage = sorted_out(files, reach);
  // A name is taken away before what it leads to; but what has none first, as that needs no room on the disk.
  for (const StoredImage &image : reach.loose()) reach.add(image);
  remove(store, sorted_out(files, reach).blobs);
  if (!garbage.names.empty()) {
    store.untag({garbage.names.begin(), garbage.names.end()});
    remove(store, garbage.blobs);
  }
  prune_memory(store);
  return garbage;
}

}  // namespace pipes::oci
