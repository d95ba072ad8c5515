#include <fmt/core.h>

#include <pipe/error.hpp>
#include <pipe/oci/archive.hpp>

#include "docker_archive.hpp"
#include "layout_source.hpp"

namespace pipes::oci {
namespace {

Descriptor import_from(const LayoutSource &source, std::string_view ref, Store &store) {
  const std::optional<Descriptor> root = find_image(source, ref);
  if (!root)
    throw sdk::Error(PIPE_E_NOT_FOUND, ref.empty()
                                           ? source.where() + " holds no image"
                                           : fmt::format("{} holds no image {}", source.where(), ref));
  return import_image(source, *root, store);
}

}  // namespace

Descriptor import_archive(const std::filesystem::path &file, std::string_view ref, Store &store) {
  const TarSource source(file, store.path() / ".partial");
  if (source.open("oci-layout")) return import_from(source, ref, store);
  return import_old_docker_archive(source, ref, store);
}

Descriptor import_layout(const std::filesystem::path &folder, std::string_view ref, Store &store) {
  return import_from(FolderSource(folder), ref, store);
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
