// Registry, layout or archive -> store.
#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/transfer.hpp>

#include "image_copy.hpp"
#include "json.hpp"
#include "registries_conf.hpp"

namespace pipes::oci {
namespace {

/// What the config says the image runs on; nothing for artifacts.
std::optional<Platform> platform_in_config(const Store &store, const Manifest &manifest) {
  if (!manifest.config || manifest.config->size > kMaxManifestSize) return std::nullopt;
  const ParsedJson config = parse_json(store.read(*manifest.config));
  if (!config.problem.empty() || !config.value.is_object()) return std::nullopt;
  const auto text = [&](const char *key) { return text_member(config.value, key).value_or(std::string()); };
  if (text("os").empty() || text("architecture").empty()) return std::nullopt;
  return Platform{.os = text("os"), .architecture = text("architecture"), .variant = text("variant")};
}

void check_platform(const Store &store, const Reference &reference, const Platform &wanted, Descriptor &image,
                    sdk::Observer &observer) {
  if (!image.platform) image.platform = platform_in_config(store, store.manifest(image));
  if (image.platform && !wanted.matches(*image.platform))
    observer.log(sdk::Level::warning, fmt::format("{} is made for {} only, not for {}", reference.familiar(),
                                                  image.platform->str(), wanted.str()));
}

TransferResult fetch_from(const Endpoint &from, const PlatformChoice &choice, const RegistryOptions &options,
                          Store &store, sdk::Observer &observer) {
  Job job(observer);
  Registry registry(from.reference.registry, options, job);
  RegistrySource source(registry, from.reference.repository, job);
  BlobBoard board;
  StoreTarget target(store, board);
  const CopyOptions what{.platforms = choice.all ? std::vector<Platform>() : std::vector{choice.platform},
                         .referrers = Referrers::none};
  TransferResult result = ImageCopy(source, target, what, job).run(from.reference.identifier(), {}, {}, {});
  result.requests = registry.traffic().requests;
  result.retries = registry.traffic().retries;
  if (!choice.all) check_platform(store, from.reference, choice.platform, result.image, observer);
  return result;
}

TransferResult fetch_from_registry(const Reference &reference, const PlatformChoice &choice,
                                   const RegistryOptions &options, Store &store, sdk::Observer &observer) {
  return ask_in_turn(reference, options, observer, [&](const Endpoint &place, const RegistryOptions &how) {
    return fetch_from(place, choice, how, store, observer);
  });
}

/// An image that was read from a file into the store.
TransferResult chosen(const Descriptor &root, const PlatformChoice &choice, const Store &store) {
  TransferResult result{.image = root, .source_digest = root.digest};
  Manifest manifest = store.manifest(root);
  while (manifest.is_index() && !choice.all) {
    result.image = select_platform(manifest, choice.platform);
    manifest = store.manifest(result.image);
  }
  const ImageTree tree = walk_image(std::move(manifest), [&](const std::vector<Descriptor> &level) {
    std::vector<Manifest> manifests;
    for (const Descriptor &child : level) manifests.push_back(store.manifest(child));
    return manifests;
  });
  result.size = result.bytes = tree.blob_bytes();
  result.moved = tree.blobs.size();
  return result;
}

}  // namespace

TransferResult fetch(const ImageName &from, const PlatformChoice &choice, const RegistryOptions &options,
                     Store &store, sdk::Observer &observer) {
  switch (from.kind) {
    case ImageName::Kind::registry:
      return fetch_from_registry(from.reference, choice, options, store, observer);
    case ImageName::Kind::docker_daemon:
      break;
    case ImageName::Kind::oci_layout:
    case ImageName::Kind::oci_archive:
    case ImageName::Kind::docker_archive:
      return chosen(local(from, store), choice, store);
  }
  throw sdk::Error(PIPE_E_INVALID, from.str() + " lies in an engine, which is not asked here");
}

}  // namespace pipes::oci
