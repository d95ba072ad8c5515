// Registry, layout or archive -> store.
#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/transfer.hpp>

#include "image_copy.hpp"
#include "registries_conf.hpp"

namespace pipes::oci {
namespace {

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
  warn_of_platform(from.reference.familiar(), what, result, observer);
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
  if (!choice.all) {
    OfPlatform found = descend(std::move(manifest), choice.platform,
                               [&](const Descriptor &entry) { return store.manifest(entry); });
    result.image = found.entry.value_or(root);
    manifest = std::move(found.manifest);
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
