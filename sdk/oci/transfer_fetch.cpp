// Registry, layout or archive -> store.
#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/transfer.hpp>

#include <sys/stat.h>

#include <algorithm>

#include "image_tree.hpp"
#include "job.hpp"
#include "json.hpp"
#include "registries_conf.hpp"

namespace pipes::oci {
namespace {

/// A manifest that is in the store already, whatever its size.
std::optional<Manifest> stored_manifest(const Store &store, const Digest &digest) {
  struct stat status {};
  if (::lstat(store.blob_path(digest).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  Descriptor descriptor{
      .media_type = {}, .digest = digest, .size = static_cast<std::uint64_t>(status.st_size)};
  return parse_manifest(store.read(descriptor), {}, digest);
}

/// What the config says the image runs on; nothing for artifacts.
std::optional<Platform> platform_in_config(const Store &store, const Manifest &manifest) {
  if (!manifest.config || manifest.config->size > kMaxManifestSize) return std::nullopt;
  const ParsedJson config = parse_json(store.read(*manifest.config));
  if (!config.problem.empty() || !config.value.is_object()) return std::nullopt;
  const auto text = [&](const char *key) { return text_member(config.value, key).value_or(std::string()); };
  if (text("os").empty() || text("architecture").empty()) return std::nullopt;
  return Platform{.os = text("os"), .architecture = text("architecture"), .variant = text("variant")};
}

/// Fetches one image from one registry.
class Fetch {
 public:
  Fetch(const Endpoint &from, const RegistryOptions &options, Store &store, sdk::Observer &observer)
      : job_(observer),
        registry_(from.reference.registry, options, job_),
        reference_(from.reference),
        store_(store) {}

  TransferResult run(const PlatformChoice &choice) {
    Manifest root = read_root();
    TransferResult result{.image = root.descriptor(), .source_digest = root.digest};
    while (root.is_index() && !choice.all) {
      result.image = select_platform(root, choice.platform);
      root = read_manifest(result.image);
    }
    const ImageTree tree = walk_image(std::move(root), [this](const std::vector<Descriptor> &level) {
      std::vector<std::optional<Manifest>> read(level.size());
      job_.parallel(level.size(), [&](std::size_t i) { read[i] = read_manifest(level[i]); });
      std::vector<Manifest> manifests;
      for (std::optional<Manifest> &manifest : read) manifests.push_back(std::move(*manifest));
      return manifests;
    });
    fetch_blobs(tree, result);
    for (const Manifest &manifest : tree.manifests) store_.put(manifest.bytes, manifest.media_type);
    if (!choice.all) check_platform(tree.root(), choice.platform, result.image);
    return result;
  }

 private:
  Manifest read_root() {
    if (reference_.digest)
      if (std::optional<Manifest> here = stored_manifest(store_, *reference_.digest)) return std::move(*here);
    return registry_.manifest(reference_.repository, reference_.identifier());
  }

  Manifest read_manifest(const Descriptor &descriptor) {
    if (store_.has(descriptor)) return store_.manifest(descriptor);
    Manifest manifest = registry_.manifest(reference_.repository, descriptor.digest.str());
    if (manifest.bytes.size() != descriptor.size)
      throw sdk::Error(PIPE_E_MISMATCH,
                       fmt::format("the manifest {} has {} bytes, and its index says {}",
                                   descriptor.digest.brief(), manifest.bytes.size(), descriptor.size),
                       "the index is wrong: ask who made it");
    return manifest;
  }

  void fetch_blobs(const ImageTree &tree, TransferResult &result) {
    std::vector<Descriptor> missing;
    std::ranges::copy_if(tree.blobs, std::back_inserter(missing),
                         [this](const Descriptor &b) { return !store_.has(b); });
    std::uint64_t bytes = 0;
    for (const Descriptor &blob : missing) bytes += blob.size;
    job_.expect(bytes);
    job_.parallel(missing.size(), [&](std::size_t i) { fetch_blob(missing[i]); });
    result.size = tree.blob_bytes();
    result.bytes = job_.moved();
    result.moved = missing.size();
    result.skipped = tree.blobs.size() - missing.size();
  }

  void fetch_blob(const Descriptor &blob) {
    try {
      if (download(blob) || download(blob)) return;
    } catch (const sdk::Error &error) {
      if (error.status != PIPE_E_NOT_FOUND || !is_foreign(blob)) throw;
      throw sdk::Error(PIPE_E_NOT_FOUND, error.message,
                       "it is a layer that only its owner distributes; pipe does not fetch those");
    }
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("the blob {} came with other content than its digest says", blob.digest.str()),
        "the registry's storage is damaged, or a proxy changes what it sends");
  }

  /// False: what an earlier run had left of it was wrong, and is gone now.
  bool download(const Descriptor &blob) {
    BlobWriter writer = store_.resume(blob);
    const std::uint64_t before = writer.written();
    const std::string label = blob.digest.brief();
    const std::uint64_t id = job_.begin(label, blob.size, before);
    const http::Sink sink = [&](const char *data, std::size_t size) {
      writer.write(data, size);
      job_.advance(id, label, size, writer.written(), blob.size);
    };
    registry_.get_blob(reference_.repository, blob, sink, before);
    try {
      writer.commit();
      return true;
    } catch (const sdk::Error &error) {
      if (error.status != PIPE_E_MISMATCH || before == 0) throw;
      return false;
    }
  }

  void check_platform(const Manifest &manifest, const Platform &wanted, Descriptor &image) {
    if (!image.platform) image.platform = platform_in_config(store_, manifest);
    if (image.platform && !wanted.matches(*image.platform))
      job_.log(sdk::Level::warning, fmt::format("{} is made for {} only, not for {}", reference_.familiar(),
                                                image.platform->str(), wanted.str()));
  }

  Job job_;
  Registry registry_;
  const Reference &reference_;
  Store &store_;
};

TransferResult fetch_from_registry(const Reference &reference, const PlatformChoice &choice,
                                   const RegistryOptions &options, Store &store, sdk::Observer &observer) {
  for (const Endpoint &endpoint : RegistriesConf::load().to_pull(reference)) {
    RegistryOptions how = options;
    how.insecure = how.insecure || endpoint.insecure;
    try {
      return Fetch(endpoint, how, store, observer).run(choice);
    } catch (const sdk::Error &error) {
      if (!endpoint.mirror || error.status == PIPE_E_CANCELLED || error.status == PIPE_E_IO) throw;
      observer.log(sdk::Level::warning,
                   fmt::format("mirror {}: {}", endpoint.reference.registry, error.message));
    }
  }
  throw sdk::Error(PIPE_E_INTERNAL, "a name without a place to fetch it from");
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
