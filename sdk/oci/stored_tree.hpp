#pragma once
// What lies in a store: images as far as they are there, and the files of blobs. For .cpp files of this
// folder only.
#include <pipe/oci/store.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image_tree.hpp"

namespace pipes::oci {

/// A manifest that can't be read.
struct BadManifest {
  Descriptor manifest;
  bool missing;  // else damaged, or no manifest at all
  std::string why;
};

/// An image as it is in a store: maybe not all of it.
struct StoredTree {
  std::vector<Manifest> manifests;  // that can be read; children before their index, the root last
  std::vector<Descriptor> blobs;    // their configs and layers, each once, whether they are here or not
  std::vector<Descriptor> absent;   // images of an index that are not here, as of one for some platforms
  std::vector<BadManifest> bad;
};

/// Throws PIPE_E_IO where files can't be read. What is wrong with the image is in the result.
StoredTree read_stored(const Store &, const Descriptor &root);

/// The image that a name of referrers or of a signature ("sha256-….sig") belongs to; nullopt: it is none.
std::optional<Digest> attached_to(std::string_view name);

/// A file under blobs/ whose name is a digest.
struct BlobFile {
  Digest digest = digest_of("");
  std::uint64_t size = 0;
};
std::vector<BlobFile> blob_files(const Store &);

}  // namespace pipes::oci
