#include "stored_tree.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/attached.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "file.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

/// Reads a manifest, or notes why it can't be.
std::optional<Manifest> try_manifest(const Store &store, const Descriptor &manifest, StoredTree &tree) {
  try {
    return store.manifest(manifest);
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_IO || error.status == PIPE_E_CANCELLED) throw;
    tree.bad.push_back({manifest, error.status == PIPE_E_NOT_FOUND, error.message});
    return std::nullopt;
  }
}

}  // namespace

StoredTree read_stored(const Store &store, const Descriptor &root) {
  StoredTree result;
  std::optional<Manifest> top = try_manifest(store, root, result);
  if (!top) return result;
  const auto read = [&](const std::vector<Descriptor> &children) {
    std::vector<Manifest> manifests;
    for (const Descriptor &child : children) {
      struct stat status {};
      if (lstat(store.blob_path(child.digest).c_str(), &status) != 0) {
        result.absent.push_back(child);
      } else if (std::optional<Manifest> manifest = try_manifest(store, child, result)) {
        manifests.push_back(*std::move(manifest));
      }
    }
    return manifests;
  };
  try {
    ImageTree tree = walk_image(*std::move(top), read);
    result.manifests = std::move(tree.manifests);
    result.blobs = std::move(tree.blobs);
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_INVALID) throw;
    result.bad.push_back({root, false, error.message});
  }
  return result;
}

std::optional<Digest> attached_to(std::string_view name) {
  if (is_list_name(name)) name = name.substr(name.rfind(':') + 1);
  if (!is_attached_tag(name)) return std::nullopt;
  std::string digest(name.substr(0, name.find('.')));
  digest[digest.find('-')] = ':';
  return Digest::parse(digest);
}

std::vector<BlobFile> blob_files(const Store &store) {
  std::vector<BlobFile> files;
  std::error_code error;
  for (const fs::directory_entry &algorithm : fs::directory_iterator(store.path() / "blobs", error)) {
    if (!algorithm.is_directory(error)) continue;
    for (const fs::directory_entry &file : fs::directory_iterator(algorithm.path(), error)) {
      const std::optional<Digest> digest = Digest::try_parse(
          fmt::format("{}:{}", algorithm.path().filename().string(), file.path().filename().string()));
      struct stat status {};
      if (digest && lstat(file.path().c_str(), &status) == 0)
        files.push_back({*digest, static_cast<std::uint64_t>(status.st_size)});
    }
    if (error) throw_io("read", algorithm.path(), error.value());
  }
  if (error) throw_io("read", store.path() / "blobs", error.value());
  std::ranges::sort(files, {}, &BlobFile::digest);
  return files;
}

}  // namespace pipes::oci
