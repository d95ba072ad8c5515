#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <pipe/error.hpp>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/reference.hpp>

#include "blob_writer.hpp"
#include "image_tree.hpp"
#include "layout_index.hpp"
#include "layout_source.hpp"
#include "tar.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

/// A file in an archive that is being written: short text, or a blob of the store.
struct Part {
  TarEntry entry;
  std::string text;
  std::optional<Descriptor> blob;
};

ImageTree tree_of(const Store &store, const Descriptor &image) {
  return walk_image(store.manifest(image), [&](const std::vector<Descriptor> &children) {
    std::vector<Manifest> manifests;
    for (const Descriptor &child : children) manifests.push_back(store.manifest(child));
    return manifests;
  });
}

/// Every blob of an image once, in the order of their digests. Foreign layers that are not here stay away.
std::map<Digest, Descriptor> blobs_of(const Store &store, const ImageTree &tree) {
  std::map<Digest, Descriptor> blobs;
  for (const Manifest &manifest : tree.manifests) blobs.emplace(manifest.digest, manifest.descriptor());
  for (const Descriptor &blob : tree.blobs)
    if (!is_foreign(blob) || store.has(blob)) blobs.emplace(blob.digest, blob);
  return blobs;
}

Part text_part(std::string path, std::string text) {
  return {{.path = std::move(path), .size = text.size()}, std::move(text), {}};
}

Part folder_part(std::string path) {
  return {{.path = std::move(path), .type = TarType::folder, .mode = 0755}, {}, {}};
}

std::string blob_name(const Digest &digest) {
  return fmt::format("blobs/{}/{}", digest.algorithm(), digest.hex());
}

void append_blobs(std::vector<Part> &parts, const std::map<Digest, Descriptor> &blobs) {
  parts.push_back(folder_part("blobs/"));
  std::string_view algorithm;
  for (const auto &[digest, blob] : blobs) {
    if (digest.algorithm() != algorithm) {
      algorithm = digest.algorithm();
      parts.push_back(folder_part(fmt::format("blobs/{}/", algorithm)));
    }
    parts.push_back({{.path = blob_name(digest), .size = blob.size}, {}, blob});
  }
}

std::string index_of(const std::vector<StoredImage> &images) {
  Json index = Json::parse(kEmptyIndex);
  for (const StoredImage &image : images) index["manifests"].push_back(write_entry(image));
  return index.dump();
}

std::vector<Part> oci_parts(const Store &store, const Descriptor &image, std::string_view ref) {
  const ImageTree tree = tree_of(store, image);
  std::vector<Part> parts;
  parts.push_back(text_part("oci-layout", std::string(kLayoutFile)));
  parts.push_back(text_part("index.json", index_of({{std::string(ref), tree.root().descriptor()}})));
  append_blobs(parts, blobs_of(store, tree));
  return parts;
}

/// Docker before 25 and Podman read manifest.json, containerd and Docker after it the OCI layout beside it.
std::vector<Part> docker_parts(const Store &store, const Descriptor &image,
                               const std::vector<std::string> &names) {
  const ImageTree tree = tree_of(store, image);
  const Manifest &manifest = tree.root();
  if (manifest.is_index())
    throw sdk::Error(PIPE_E_INVALID,
                     "a docker-archive holds an image for one platform, this is a list of images",
                     "choose a platform");
  std::vector<StoredImage> images;
  Json tags = Json::array();
  for (const std::string &name : names) {
    Reference reference = Reference::parse(name);
    reference.digest.reset();
    if (reference.tag.empty()) continue;  // by digest alone; an archive has no such names
    StoredImage named{reference.str(), manifest.descriptor()};
    named.descriptor.annotations["io.containerd.image.name"] = reference.str();
    images.push_back(std::move(named));
    tags.push_back(reference.str());  // Podman takes a short name for one of its own (localhost/)
  }
  if (images.empty()) images.push_back({"", manifest.descriptor()});

  Json saved = {{"Config", blob_name(manifest.config->digest)},
                {"RepoTags", tags.empty() ? Json() : tags},
                {"Layers", Json::array()}};
  for (const Descriptor &layer : manifest.layers) saved["Layers"].push_back(blob_name(layer.digest));
  std::vector<Part> parts;
  parts.push_back(text_part("oci-layout", std::string(kLayoutFile)));
  parts.push_back(text_part("index.json", index_of(images)));
  parts.push_back(text_part("manifest.json", Json::array({saved}).dump()));
  append_blobs(parts, blobs_of(store, tree));
  return parts;
}

std::uint64_t size_of(const std::vector<Part> &parts) {
  std::uint64_t size = kTarEnd;
  for (const Part &part : parts)
    size += tar_header(part.entry).size() + part.entry.size + tar_padding(part.entry.size);
  return size;
}

/// False: the sink wanted no more.
bool write_blob(const Store &store, const Descriptor &blob,
                const std::function<bool(const char *, std::size_t)> &sink) {
  const UniqueFd fd(store.open_blob(blob));
  Hasher hasher(blob.digest.algorithm());
  bool wanted = true;
  const Content content{{}, fd.get(), 0, blob.size, store.blob_path(blob.digest)};
  struct Stop {};
  try {
    content.copy_to([&](const char *data, std::size_t size) {
      hasher.update(data, size);
      wanted = sink(data, size);
      if (!wanted) throw Stop();
    });
  } catch (const Stop &) {
    return false;
  }
  if (hasher.finish() != blob.digest)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("{} is damaged: its content has another digest", content.path.string()),
                     "remove that file and pull the image again");
  return true;
}

void write_parts(const Store &store, const std::vector<Part> &parts,
                 const std::function<bool(const char *, std::size_t)> &sink) {
  for (const Part &part : parts) {
    const std::string before = tar_header(part.entry) + part.text;
    if (!sink(before.data(), before.size())) return;
    if (part.blob && !write_blob(store, *part.blob, sink)) return;
    const std::string after(tar_padding(part.entry.size), '\0');
    if (!after.empty() && !sink(after.data(), after.size())) return;
  }
  const std::string end(kTarEnd, '\0');
  sink(end.data(), end.size());
}

void write_archive(const Store &store, const std::vector<Part> &parts, const fs::path &file) {
  std::error_code error;
  if (fs::is_directory(file, error))
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is a folder, not a file", file.string()));
  if (!file.parent_path().empty()) fs::create_directories(file.parent_path(), error);
  const fs::path partial = file.string() + ".partial";
  const std::optional<UniqueFd> fd = lock_partial(partial, O_CREAT);
  if (!fd)
    throw sdk::Error(PIPE_E_IO, fmt::format("another process is writing {}", file.string()),
                     "wait for it, or choose another file");
  try {
    if (ftruncate(fd->get(), 0) != 0) throw_io("write", partial, errno);
    write_parts(store, parts, [&](const char *data, std::size_t size) {
      write_all(fd->get(), data, size, partial);
      return true;
    });
    sync_data(fd->get(), partial);
    if (rename(partial.c_str(), file.c_str()) != 0) throw_io("write", file, errno);
  } catch (...) {
    unlink(partial.c_str());
    throw;
  }
  sync_folder(file.parent_path().empty() ? fs::path(".") : file.parent_path());
}

}  // namespace

void export_oci_archive(const Store &store, const Descriptor &image, std::string_view ref,
                        const fs::path &file) {
  write_archive(store, oci_parts(store, image, ref), file);
}

void export_docker_archive(const Store &store, const Descriptor &image, const std::vector<std::string> &names,
                           const fs::path &file) {
  write_archive(store, docker_parts(store, image, names), file);
}

void export_layout(const Store &store, const Descriptor &image, std::string_view ref,
                   const fs::path &folder) {
  const ImageTree tree = tree_of(store, image);
  std::error_code error;
  fs::create_directories(folder, error);  // readable for all, as the umask lets; a store of our own is not
  Store target(folder);
  import_image(FolderSource(store.path()), image, target);
  target.sync();
  set_images(folder, {{std::string(ref), tree.root().descriptor()}});
}

void write_docker_archive(const Store &store, const Descriptor &image, const std::vector<std::string> &names,
                          const std::function<bool(const char *data, std::size_t size)> &sink) {
  write_parts(store, docker_parts(store, image, names), sink);
}

std::uint64_t docker_archive_size(const Store &store, const Descriptor &image,
                                  const std::vector<std::string> &names) {
  return size_of(docker_parts(store, image, names));
}

}  // namespace pipes::oci
