// Store -> registry, layout or archive.
#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/transfer.hpp>

#include <map>
#include <mutex>

#include "image_copy.hpp"
#include "registries_conf.hpp"

namespace pipes::oci {
namespace {

ImageTree stored_tree(const Store &store, const Descriptor &image) {
  return walk_image(store.manifest(image), [&](const std::vector<Descriptor> &level) {
    std::vector<Manifest> manifests;
    for (const Descriptor &child : level) {
      if (!store.has(child))
        throw sdk::Error(
            PIPE_E_NOT_FOUND,
            fmt::format("{} is not in the store as a whole: its part {}{} is missing", image.digest.brief(),
                        child.digest.brief(), child.platform ? " for " + child.platform->str() : ""),
            "pull it with platform = \"all\", or push one platform");
      manifests.push_back(store.manifest(child));
    }
    return manifests;
  });
}

/// Repositories of that registry which are likely to hold a blob: those whose images are in the store.
std::map<Digest, std::string> mount_candidates(const Store &store, const Reference &to) {
  std::map<Digest, std::string> candidates;
  for (const StoredImage &image : store.list()) {
    try {
      const Reference name = Reference::parse(image.name);
      if (name.registry != to.registry || name.repository == to.repository) continue;
      for (const Descriptor &blob : stored_tree(store, image.descriptor).blobs)
        candidates.emplace(blob.digest, name.repository);
    } catch (const sdk::Error &) {
      continue;  // a name of another kind, or an image that is not whole: nothing to mount from
    }
  }
  return candidates;
}

TransferResult send_to(const Endpoint &to, const RegistryOptions &options, const Store &store,
                       const Descriptor &image, sdk::Observer &observer, const BeforeChange &before_change) {
  const Reference &name = to.reference;
  if (name.digest && *name.digest != image.digest)
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("{} is to be pushed as {}", image.digest.str(), name.str()),
                     "leave the digest out of the name, or push the image that has it");
  const ImageTree tree = stored_tree(store, image);  // says what is missing before anything is sent
  Job job(observer);
  Registry registry(name.registry, options, job);
  std::optional<std::map<Digest, std::string>> candidates;
  std::mutex mutex;
  BlobBoard board;
  RegistryTarget target(registry, name.repository, board, [&](const Digest &blob) -> std::string {
    const std::lock_guard lock(mutex);
    if (!candidates) candidates = mount_candidates(store, name);
    const auto found = candidates->find(blob);
    return found == candidates->end() ? std::string() : found->second;
  });
  const FolderSource folder(store.path());
  LayoutImages source(folder);
  TransferResult result = ImageCopy(source, target, {.platforms = {}, .referrers = Referrers::none}, job)
                              .run(image.digest.str(), name.tag, {}, before_change);
  result.image = image;
  result.size = tree.blob_bytes();
  if (result.unchanged) result.skipped = tree.blobs.size();
  result.requests = registry.traffic().requests;
  result.retries = registry.traffic().retries;
  return result;
}

TransferResult exported(const Store &store, const Descriptor &image) {
  const ImageTree tree = stored_tree(store, image);
  return {.image = image,
          .source_digest = image.digest,
          .size = tree.blob_bytes(),
          .bytes = tree.blob_bytes(),
          .moved = tree.blobs.size()};
}

Endpoint target(const Reference &reference, RegistryOptions &options) {
  Endpoint endpoint = RegistriesConf::load().to_push(reference);
  options = options_for(endpoint, options);
  return endpoint;
}

}  // namespace

std::optional<Descriptor> head_target(const Reference &to, const RegistryOptions &options,
                                      sdk::Observer &observer) {
  RegistryOptions how = options;
  const Reference reference = target(to, how).reference;
  Registry registry(reference.registry, how, observer);
  return registry.head_manifest(reference.repository, reference.identifier());
}

TransferResult send(Store &store, const Descriptor &image, const ImageName &to,
                    const RegistryOptions &options, sdk::Observer &observer,
                    const BeforeChange &before_change) {
  switch (to.kind) {
    case ImageName::Kind::registry: {
      RegistryOptions how = options;
      const Endpoint endpoint = target(to.reference, how);
      return send_to(endpoint, how, store, image, observer, before_change);
    }
    case ImageName::Kind::oci_layout:
      export_layout(store, image, to.ref, to.path);
      return exported(store, image);
    case ImageName::Kind::oci_archive:
      export_oci_archive(store, image, to.ref, to.path);
      return exported(store, image);
    case ImageName::Kind::docker_archive:
      export_docker_archive(store, image, to.ref.empty() ? std::vector<std::string>() : std::vector{to.ref},
                            to.path);
      return exported(store, image);
    case ImageName::Kind::docker_daemon:
      break;
  }
  throw sdk::Error(PIPE_E_INVALID, to.str() + " lies in an engine, which is not asked here");
}

}  // namespace pipes::oci
