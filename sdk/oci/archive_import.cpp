#include <fmt/core.h>

#include <pipe/error.hpp>
#include <pipe/oci/archive.hpp>

#include "docker_archive.hpp"
#include "layout_source.hpp"

namespace pipes::oci {
namespace {

/// The names that the index has for an image: the full one where containerd wrote it, else the one of the
/// layout. Images without a name have none.
std::vector<std::string> names_of(const LayoutSource &source, const Digest &digest) {
  std::vector<std::string> names;
  const std::shared_ptr<const NameTable> table = source.names();
  for (const StoredImage &image : table->images()) {
    if (image.descriptor.digest != digest) continue;
    const auto full = image.descriptor.annotations.find(kContainerdName);
    const std::string &name = full != image.descriptor.annotations.end() ? full->second : image.name;
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

Imported import_from(const LayoutSource &source, std::string_view ref, Store &store) {
  const std::optional<Descriptor> root = find_image(source, ref);
  if (!root)
    throw sdk::Error(PIPE_E_NOT_FOUND, ref.empty()
                                           ? source.where() + " holds no image"
                                           : fmt::format("{} holds no image {}", source.where(), ref));
  return {import_image(source, *root, store), names_of(source, root->digest)};
}

}  // namespace

Imported import_named(const ImageName &from, Store &store) {
  switch (from.kind) {
    case ImageName::Kind::oci_layout:
      return import_from(FolderSource(from.path), from.ref, store);
    case ImageName::Kind::oci_archive:
    case ImageName::Kind::docker_archive: {
      const TarSource source(from.path, store.path() / ".partial");
      if (source.open("oci-layout")) return import_from(source, from.ref, store);
      return import_old_docker_archive(source, from.ref, store);
    }
    case ImageName::Kind::registry:
    case ImageName::Kind::docker_daemon:
      break;
  }
  throw sdk::Error(PIPE_E_INVALID, from.str() + " is no file and no folder");
}

Descriptor import_archive(const std::filesystem::path &file, std::string_view ref, Store &store) {
  return import_named(
             {.kind = ImageName::Kind::oci_archive, .reference = {}, .path = file, .ref = std::string(ref)},
             store)
      .image;
}

Descriptor import_layout(const std::filesystem::path &folder, std::string_view ref, Store &store) {
  return import_named(
             {.kind = ImageName::Kind::oci_layout, .reference = {}, .path = folder, .ref = std::string(ref)},
             store)
      .image;
}

std::optional<Descriptor> peek(const ImageName &name) {
  try {
    if (name.kind == ImageName::Kind::oci_layout) return find_image(FolderSource(name.path), name.ref);
    const UniqueFd file(open_regular(name.path));
    if (!file || compression_of(file.get(), name.path) != Compression::none) return std::nullopt;
    return find_image(TarSource(name.path, {}), name.ref);
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_NOT_FOUND) return std::nullopt;
    throw;
  }
}

}  // namespace pipes::oci
