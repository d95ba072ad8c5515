// Whether a store is whole: every blob hashed again, every name followed.
#include <fmt/core.h>
#include <pipe/oci/maintenance.hpp>
#include <pipe/parallel.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "file.hpp"
#include "layout_index.hpp"
#include "layout_source.hpp"
#include "sole_use.hpp"
#include "stored_tree.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;
using Kind = StoreFlaw::Kind;

constexpr const char *kDamaged = ".damaged";

/// What is wrong with the file of a blob; empty if nothing is. `sink` sees what was read.
std::string problem_of(const Store &store, const Digest &digest, const ByteSink &sink) {
  try {
    const std::optional<Content> content = FolderSource(store.path()).blob(digest);
    if (!content) return {};  // taken away since
    Hasher hasher(digest.algorithm());
    content->copy_to([&](const char *data, std::size_t size) {
      hasher.update(data, size);
      sink(data, size);
    });
    const Digest found = hasher.finish();
    return found == digest ? "" : fmt::format("its content has the digest {}", found.str());
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    return error.message;  // no regular file, or the disk can't read it
  }
}

/// Gathers flaws, one for each blob, with all the images that need it.
class Findings {
 public:
  void add(Kind kind, const Digest &digest, std::string_view part, std::string why,
           const StoredImage *image = nullptr) {
    StoreFlaw &flaw = flaws_[digest];
    if (flaw.part.empty()) flaw = {kind, digest, std::string(part), std::move(why), {}, false};
    if (image == nullptr) return;
    flaw.part = part;
    flaw.images.push_back(*image);
  }
  std::vector<StoreFlaw> list() const {
    std::vector<StoreFlaw> list;
    for (const auto &[digest, flaw] : flaws_) list.push_back(flaw);
    return list;
  }

 private:
  std::map<Digest, StoreFlaw> flaws_;
};

/// Follows one name. `damaged` is what hashing has found.
class Follower {
 public:
  Follower(const Store &store, const std::map<Digest, std::string> &damaged, Findings &findings)
      : store_(store), damaged_(damaged), findings_(findings) {}

  /// Gives every digest that the image leads to.
  std::vector<Digest> follow(const StoredImage &image) {
    const StoredTree tree = read_stored(store_, image.descriptor);
    std::vector<Digest> reached;
    for (const BadManifest &bad : tree.bad) {
      reached.push_back(bad.manifest.digest);
      const auto found = damaged_.find(bad.manifest.digest);
      if (found != damaged_.end())
        findings_.add(Kind::damaged, bad.manifest.digest, "manifest", found->second, &image);
      else
        findings_.add(bad.missing ? Kind::missing : Kind::invalid, bad.manifest.digest, "manifest",
                      bad.missing ? "it is not there" : bad.why, &image);
    }
    for (const Manifest &manifest : tree.manifests) {
      reached.push_back(manifest.digest);
      if (manifest.config) reached.push_back(look_at(*manifest.config, "config", image));
      for (const Descriptor &layer : manifest.layers) reached.push_back(look_at(layer, "layer", image));
    }
    // An index may be there for some of its platforms, not for none.
    if (tree.manifests.size() == 1 && tree.manifests.front().is_index() && !tree.absent.empty())
      findings_.add(Kind::missing, tree.absent.front().digest, "manifest", "no image of the index is there",
                    &image);
    return reached;
  }

 private:
  Digest look_at(const Descriptor &blob, std::string_view part, const StoredImage &image) {
    const auto damaged = damaged_.find(blob.digest);
    struct stat status {};
    if (damaged != damaged_.end()) {
      findings_.add(Kind::damaged, blob.digest, part, damaged->second, &image);
    } else if (lstat(store_.blob_path(blob.digest).c_str(), &status) != 0) {
      if (!is_foreign(blob)) findings_.add(Kind::missing, blob.digest, part, "it is not there", &image);
    } else if (static_cast<std::uint64_t>(status.st_size) != blob.size) {
      findings_.add(Kind::invalid, blob.digest, part,
                    fmt::format("it has {} bytes, and its manifest says {}", status.st_size, blob.size),
                    &image);
    }
    return blob.digest;
  }

  const Store &store_;
  const std::map<Digest, std::string> &damaged_;
  Findings &findings_;
};

/// The blobs that are damaged, and why.
std::map<Digest, std::string> hash_all(const Store &store, const std::vector<BlobFile> &files,
                                       std::uint64_t bytes, sdk::Observer &observer) {
  std::map<Digest, std::string> damaged;
  std::mutex mutex;
  std::atomic<std::uint64_t> done = 0;
  const auto read = [&](const char *, std::size_t size) {
    observer.check_cancelled();
    done += size;
    observer.progress({.done = done, .total = bytes});
  };
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  sdk::for_each_parallel(files.size(), threads, [&](std::size_t i) {
    std::string problem = problem_of(store, files[i].digest, read);
    if (problem.empty()) return;
    const std::lock_guard lock(mutex);
    damaged.emplace(files[i].digest, std::move(problem));
  });
  return damaged;
}

}  // namespace

bool StoreCheck::clean() const {
  return std::ranges::all_of(flaws, [](const StoreFlaw &f) { return f.moved && f.images.empty(); });
}

StoreCheck check_store(const Store &store, sdk::Observer &observer) {
  // Files before names, as they are written: what a name leads to is among the files.
  std::vector<BlobFile> files = blob_files(store);
  const std::vector<StoredImage> images = load_images(store.path());
  StoreCheck check;
  check.images = images.size();
  check.blobs = files.size();
  for (const BlobFile &file : files) check.bytes += file.size;
  std::ranges::stable_sort(files, std::ranges::greater(), &BlobFile::size);  // so that no large one is last
  const std::map<Digest, std::string> damaged = hash_all(store, files, check.bytes, observer);

  Findings findings;
  Follower follower(store, damaged, findings);
  std::set<Digest> reached;
  for (const StoredImage &image : images)
    for (const Digest &digest : follower.follow(image)) reached.insert(digest);
  for (const auto &[digest, why] : damaged)
    if (!reached.contains(digest)) findings.add(Kind::damaged, digest, "blob", why);
  for (const BlobFile &file : files) {
    if (reached.contains(file.digest)) continue;
    ++check.unnamed;
    check.unnamed_bytes += file.size;
  }
  check.flaws = findings.list();
  return check;
}

void move_damaged(Store &store, StoreCheck &check, std::chrono::milliseconds wait, sdk::Observer &observer) {
  const SoleUse alone(store, wait, observer);
  for (StoreFlaw &flaw : check.flaws) {
    if (flaw.kind != Kind::damaged) continue;
    // Somebody may have put a good one in its place since.
    if (problem_of(store, flaw.digest, [](const char *, std::size_t) {}).empty()) continue;
    const fs::path folder = store.path() / kDamaged;
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) throw_io("create", folder, errno);
    const fs::path from = store.blob_path(flaw.digest);
    const fs::path to = folder / fmt::format("{}-{}", flaw.digest.algorithm(), flaw.digest.hex());
    if (rename(from.c_str(), to.c_str()) != 0) throw_io("move", from, errno);
    flaw.moved = true;
  }
}

std::optional<std::string> index_problem(const fs::path &folder) {
  if (!Store::exists(folder)) return std::nullopt;
  try {
    load_images(folder);
    return std::nullopt;
  } catch (const sdk::Error &error) {
    std::error_code ignored;
    if (error.status == PIPE_E_IO && fs::exists(folder / "index.json", ignored)) throw;
    return error.message;
  }
}

void begin_index(const fs::path &folder, std::chrono::milliseconds wait, sdk::Observer &observer) {
  Store store(folder);
  drop_index(folder);
  StoreCheck check = check_store(store, observer);
  if (!check.clean()) move_damaged(store, check, wait, observer);
}

}  // namespace pipes::oci
