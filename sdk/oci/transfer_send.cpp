// Store -> registry, layout or archive.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/transfer.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <memory>

#include "file.hpp"
#include "image_tree.hpp"
#include "job.hpp"
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

/// Sends one image to one registry.
class Send {
 public:
  Send(const Endpoint &to, const RegistryOptions &options, const Store &store, sdk::Observer &observer)
      : job_(observer), registry_(to.reference.registry, options, job_), to_(to.reference), store_(store) {}

  TransferResult run(const Descriptor &image, const BeforeChange &before_change) {
    if (to_.digest && *to_.digest != image.digest)
      throw sdk::Error(PIPE_E_MISMATCH,
                       fmt::format("{} is to be pushed as {}", image.digest.str(), to_.str()),
                       "leave the digest out of the name, or push the image that has it");
    const std::string id = to_.tag.empty() ? image.digest.str() : to_.tag;
    const ImageTree tree = stored_tree(store_, image);
    TransferResult result{.image = image, .source_digest = image.digest, .size = tree.blob_bytes()};
    registry_.expect_push(to_.repository);
    const std::optional<Descriptor> there = registry_.head_manifest(to_.repository, id);
    if (there && there->digest == image.digest) {
      result.skipped = tree.blobs.size();
      result.unchanged = true;
      return result;
    }
    if (before_change) before_change(there ? std::optional(there->digest) : std::nullopt);
    candidates_ = mount_candidates(store_, to_);
    job_.parallel(tree.blobs.size(), [&](std::size_t i) { send_blob(tree.blobs[i]); });
    for (const Manifest &manifest : tree.manifests)
      registry_.put_manifest(to_.repository, manifest.digest == image.digest ? id : manifest.digest.str(),
                             manifest);
    result.bytes = bytes_;
    result.moved = moved_;
    result.mounted = mounted_;
    result.skipped = tree.blobs.size() - moved_ - mounted_;
    return result;
  }

 private:
  void send_blob(const Descriptor &blob) {
    if (is_foreign(blob) && !store_.has(blob)) return;  // stays with its owner
    if (registry_.has_blob(to_.repository, blob)) return;
    job_.expect(blob.size);
    const std::string label = blob.digest.brief();
    const std::uint64_t id = job_.begin(label, blob.size);
    const auto candidate = candidates_.find(blob.digest);
    const std::string mount_from = candidate == candidates_.end() ? std::string() : candidate->second;
    std::uint64_t sent = 0;
    const auto open = [&] {
      job_.rewind(sent);
      sent = 0;
      return source(blob, [&](std::size_t size) {
        sent += size;
        job_.advance(id, label, size, sent, blob.size);
      });
    };
    if (registry_.put_blob(to_.repository, blob, open, mount_from)) {
      ++mounted_;
      job_.expect(0 - blob.size);
    } else {
      ++moved_;
      bytes_ += blob.size;
    }
  }

  http::Source source(const Descriptor &blob, std::function<void(std::size_t)> sent) const {
    // Shared because a Source can be copied; the last copy closes it.
    const auto fd = std::make_shared<UniqueFd>(store_.open_blob(blob));
    ::posix_fadvise(fd->get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    return [fd, sent = std::move(sent), path = store_.blob_path(blob.digest)](char *data, std::size_t size) {
      ssize_t got = 0;
      while ((got = ::read(fd->get(), data, size)) < 0)
        if (errno != EINTR) throw_io("read", path, errno);
      sent(static_cast<std::size_t>(got));
      return static_cast<std::size_t>(got);
    };
  }

  Job job_;
  Registry registry_;
  const Reference &to_;
  const Store &store_;
  std::map<Digest, std::string> candidates_;
  std::atomic<std::uint64_t> bytes_ = 0, moved_ = 0, mounted_ = 0;
};

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
  options.insecure = options.insecure || endpoint.insecure;
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
      return Send(endpoint, how, store, observer).run(image, before_change);
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
