#include <pipe/oci/transfer.hpp>

#include <fmt/core.h>
#include <pipe/http/client.hpp>
#include <pipe/oci/archive.hpp>

#include "image_tree.hpp"
#include "registries_conf.hpp"

namespace pipes::oci {

PlatformChoice PlatformChoice::parse(std::string_view text) {
  if (text == "all") return {.all = true};
  if (text.empty()) return {};
  return {.all = false, .platform = Platform::parse(text)};
}

Resolved resolve(const Reference &reference, const RegistryOptions &options, sdk::Observer &observer) {
  return ask_in_turn(
      reference, options, observer, [&](const Endpoint &place, const RegistryOptions &how) -> Resolved {
        Registry registry(place.reference.registry, how, observer);
        std::optional<Descriptor> root =
            registry.head_manifest(place.reference.repository, place.reference.identifier());
        if (root) return {.root = std::move(*root)};
        throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("{} does not exist", place.reference.str()),
                         "check repository and tag");
      });
}

Descriptor local(const ImageName &name, Store &store) {
  switch (name.kind) {
    case ImageName::Kind::oci_layout:
      return import_layout(name.path, name.ref, store);
    case ImageName::Kind::oci_archive:
    case ImageName::Kind::docker_archive:
      return import_archive(name.path, name.ref, store);
    case ImageName::Kind::registry:
    case ImageName::Kind::docker_daemon:
      break;
  }
  if (std::optional<Descriptor> image = store.resolve(name.str())) return *image;
  if (name.kind == ImageName::Kind::registry && name.reference.digest)
    for (const StoredImage &image : store.list())
      if (image.descriptor.digest == *name.reference.digest) return image.descriptor;
  const std::string shown = name.kind == ImageName::Kind::registry ? name.reference.familiar() : name.str();
  throw sdk::Error(PIPE_E_NOT_FOUND,
                   fmt::format("there is no image {} in the store {}", shown, store.path().string()),
                   "add a pull step before this one, or check the name");
}

std::optional<std::uint64_t> stored_size(const Store &store, const Descriptor &image) {
  if (!store.has(image)) return std::nullopt;
  bool whole = true;
  const ImageTree tree = walk_image(store.manifest(image), [&](const std::vector<Descriptor> &level) {
    std::vector<Manifest> manifests;
    for (const Descriptor &child : level) {
      if (store.has(child))
        manifests.push_back(store.manifest(child));
      else
        whole = false;
    }
    return manifests;
  });
  for (const Descriptor &blob : tree.blobs) whole = whole && (store.has(blob) || is_foreign(blob));
  if (!whole) return std::nullopt;
  return tree.blob_bytes();
}

std::string short_name_note(std::string_view name) {
  const std::optional<std::string> other = RegistriesConf::load().other_meaning(name);
  if (!other) return {};
  return fmt::format("{} is Docker Hub's here; Podman takes it for {}: write the whole name if you mean that",
                     name, *other);
}

bool is_unreachable(const sdk::Error &error) {
  return error.status == PIPE_E_TRANSIENT || error.status == PIPE_E_TIMEOUT ||
         dynamic_cast<const http::TlsError *>(&error) != nullptr;
}

}  // namespace pipes::oci
