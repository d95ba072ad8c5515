#include "image_target.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "image_tree.hpp"
#include "stored_tree.hpp"

namespace pipes::oci {
namespace {

/// Calls `work`, and once more where what came was wrong: damage on the way happens once, damage at the
/// source comes again.
template <class Work>
auto twice(const Job &job, Work work) {
  try {
    return work();
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_MISMATCH || job.cancelled()) throw;
  }
  return work();
}

/// Calls `work` for a blob that nobody else is at; `work` returns how it came there.
template <class Work>
Placed once(BlobBoard &board, const Digest &blob, const std::string &repository, const Job &job, Work work) {
  const BlobBoard::Answer answer = board.ask(blob, repository, job);
  if (answer.here) return Placed::skipped;
  try {
    const Placed placed = work(answer.elsewhere);
    board.settle(blob, repository, true);
    return placed;
  } catch (...) {
    board.settle(blob, repository, false);
    throw;
  }
}

}  // namespace

RegistryTarget::RegistryTarget(Registry &registry, std::string repository, BlobBoard &board,
                               KnownElsewhere known_elsewhere)
    : registry_(registry),
      repository_(std::move(repository)),
      board_(board),
      known_elsewhere_(std::move(known_elsewhere)) {
  registry_.expect_push(repository_);
}

std::optional<Descriptor> RegistryTarget::find(const std::string &tag) {
  return blame_.watch([&] { return registry_.head_manifest(repository_, tag); });
}

Manifest RegistryTarget::manifest(const std::string &reference) {
  return blame_.watch([&] { return registry_.manifest(repository_, reference); });
}

bool RegistryTarget::has(const Descriptor &blob) {
  return blame_.watch([&] { return registry_.has_blob(repository_, blob); });
}

bool RegistryTarget::would_mount(const Descriptor &blob, const ImageSource &from) {
  return !from.repository_at(registry_).empty() ||
         (known_elsewhere_ && !known_elsewhere_(blob.digest).empty());
}

std::shared_ptr<void> RegistryTarget::enter(const ImageSource &from) {
  // Two turns at one host, and each may wait for the other's.
  return from.repository_at(registry_).empty() ? registry_.enter() : nullptr;
}

bool RegistryTarget::put(const Manifest &manifest, const std::string &tag) {
  return blame_.watch([&] {
    return registry_.put_manifest(repository_, tag.empty() ? manifest.digest.str() : tag, manifest);
  });
}

Placed RegistryTarget::place(const Descriptor &blob, ImageSource &from, Job &job) {
  return once(board_, blob.digest, repository_, job, [&](const std::string &moved_to) {
    // What this job has moved to another repository there is no need to look for.
    if (moved_to.empty() && has(blob)) return Placed::skipped;
    std::string mount_from = moved_to;
    if (mount_from.empty()) mount_from = from.repository_at(registry_);
    if (mount_from.empty() && known_elsewhere_) mount_from = known_elsewhere_(blob.digest);
    if (mount_from == repository_) mount_from.clear();
    return blame_.watch([&] { return twice(job, [&] { return upload(blob, from, mount_from, job); }); });
  });
}

Placed RegistryTarget::upload(const Descriptor &blob, ImageSource &from, const std::string &mount_from,
                              Job &job) {
  BlobProgress progress(job, blob);
  // Where nothing can be mounted, the content is on its way while the upload is begun.
  http::Source ahead;
  if (mount_from.empty()) ahead = from.open(blob, 0);
  const auto open = [&](std::uint64_t offset) -> http::Source {
    progress.go_on_at(offset);
    http::Source source = offset == 0 && ahead ? std::exchange(ahead, nullptr) : from.open(blob, offset);
    return [&progress, &job, source = std::move(source)](char *data, std::size_t size) {
      job.check_cancelled();
      const std::size_t count = source(data, size);
      progress.add(count);
      return count;
    };
  };
  const bool mounted = registry_.put_blob(repository_, blob, open, mount_from);
  progress.end(!mounted);
  return mounted ? Placed::mounted : Placed::moved;
}

std::optional<Descriptor> StoreTarget::find(const std::string &name) {
  return store_.resolve(name);
}

Manifest StoreTarget::manifest(const std::string &reference) {
  const FolderSource folder(store_.path());
  return LayoutImages(folder).manifest(reference);
}

std::optional<Manifest> StoreTarget::known(const Digest &digest) {
  const FolderSource folder(store_.path());
  LayoutImages images(folder);
  if (!images.find(digest.str())) return std::nullopt;
  try {
    return images.manifest(digest.str());
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_MISMATCH) throw;
    return std::nullopt;  // damaged: as good as none
  }
}

bool StoreTarget::is_whole(const Descriptor &image) {
  const StoredTree tree = read_stored(store_, image);
  return tree.bad.empty() && tree.absent.empty() &&
         std::ranges::all_of(tree.blobs,
                             [this](const Descriptor &blob) { return is_foreign(blob) || store_.has(blob); });
}

std::string StoreTarget::list_tag(const Digest &subject) const {
  return repository_.empty() ? fallback_tag(subject) : list_name(repository_, subject);
}

bool StoreTarget::put(const Manifest &manifest, const std::string &name) {
  if (const Descriptor descriptor = manifest.descriptor(); !known(descriptor.digest)) {
    BlobWriter writer = store_.writer(descriptor);
    writer.write(manifest.bytes);
    writer.commit();
  }
  if (!name.empty()) store_.tag_soon(name, manifest.descriptor());
  return false;  // a layout has no list of referrers but the fallback tag
}

Placed StoreTarget::place(const Descriptor &blob, ImageSource &from, Job &job) {
  return once(board_, blob.digest, {}, job, [&](const std::string &) {
    if (store_.has(blob)) return Placed::skipped;
    try {
      twice(job, [&] { return download(blob, from, job); });
      return Placed::moved;
    } catch (const sdk::Error &error) {
      if (error.status != PIPE_E_NOT_FOUND || !is_foreign(blob)) throw;
      throw sdk::Error(PIPE_E_NOT_FOUND, error.message,
                       "it is a layer that only its owner distributes; pipe does not fetch those");
    }
  });
}

/// What proved wrong is gone; so is what an earlier run had left of it.
void StoreTarget::download(const Descriptor &blob, ImageSource &from, Job &job) {
  BlobWriter writer = store_.resume(blob);
  const std::uint64_t before = writer.written();
  BlobProgress progress(job, blob);
  progress.go_on_at(before);
  from.read(
      blob,
      [&](const char *data, std::size_t size) {
        writer.write(data, size);
        progress.add(size);
      },
      before, [&] { return job.cancelled(); });
  try {
    writer.commit();
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_MISMATCH) throw;
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("the blob {} came with other content than its digest says", blob.digest.str()),
        "the registry's storage is damaged, or a proxy changes what it sends");
  }
}

}  // namespace pipes::oci
