#include "check.hpp"
#include "diagnosis.hpp"

#include <fmt/core.h>
#include <pipe/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace verify {
namespace {

constexpr std::size_t kHeadThreads = 8;  // a HEAD waits for the network only
constexpr std::size_t kGetThreads = 4;   // a GET fills it, and hashing fills a core
constexpr std::size_t kNamed = 3;        // findings that are named; the rest are counted

/// What is wrong with blobs, gathered by several threads.
class Findings {
 public:
  void note(const oci::Descriptor &blob, const oci::BlobFinding &finding) {
    if (finding.state == oci::BlobState::sound) return;
    add(finding.state == oci::BlobState::missing ? missing_ : wrong_,
        fmt::format("blob {} {}", blob.digest.brief(), finding.what));
  }
  bool empty() const { return missing_ + wrong_ == 0; }

  /// Puts them into `result`, sorted, so that the same damage reads the same each time.
  void describe(Result &result) {
    std::ranges::sort(named_);
    const std::size_t shown = std::min(named_.size(), kNamed);
    for (std::size_t i = 0; i < shown; ++i) result.came += (i ? ", " : "") + named_[i];
    if (named_.size() > shown) result.came += fmt::format(" and {} more", named_.size() - shown);
    if (missing_) {
      result.cause =
          "blobs that a manifest needs are not there: a garbage collection ran while the image was being "
          "pushed, or the storage lost files";
      result.remedy =
          "push the image again; collect garbage only while the registry is read-only or stopped, and "
          "restart "
          "it afterwards";
    }
    if (wrong_) {
      result.cause += fmt::format("{}the registry's storage is damaged, or something between changes bodies",
                                  missing_ ? "; " : "");
      result.remedy += fmt::format("{}{}", missing_ ? "; " : "", oci::kDamagedRemedy);
    }
    result.status = PIPE_E_MISMATCH;
  }

 private:
  void add(std::size_t &count, std::string said) {
    const std::lock_guard lock(mutex_);
    ++count;
    named_.push_back(std::move(said));
  }

  std::mutex mutex_;
  std::vector<std::string> named_;
  std::size_t missing_ = 0, wrong_ = 0;
};

std::vector<oci::Descriptor> blobs_of(const oci::ServedImage &tree) {
  std::vector<oci::Descriptor> blobs;
  for (const auto &[digest, blob] : tree.blobs) blobs.push_back(blob);
  return blobs;
}

Result wrong_digest(Target &target, Result result, const oci::Descriptor &served) {
  result.came = fmt::format("{}, wanted {}", served.digest.str(), target.digest->str());
  result.status = PIPE_E_MISMATCH;
  const oci::Manifest manifest = target.registry.manifest(target.image->repository, served.digest.str());
  const auto is_wanted = [&](const oci::Descriptor &child) { return child.digest == *target.digest; };
  if (std::ranges::any_of(manifest.manifests, is_wanted)) {
    result.cause = "the registry serves the index of all platforms, and the digest is of one of them";
    result.remedy = fmt::format("compare with {}, or verify {}@{}", served.digest.str(), target.image->name(),
                                target.digest->str());
  } else {
    result.cause = fmt::format("{} was pushed again since, from another image", target.image->familiar());
    result.remedy = "push the image that the digest belongs to, or find out who moved the tag";
  }
  return result;
}

Result not_there(Target &target, Result result) {
  result.came = "HTTP 404";
  result.status = PIPE_E_NOT_FOUND;
  std::vector<std::string> tags;
  try {
    tags = target.registry.tags(target.image->repository);
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
  }
  if (tags.empty()) {
    result.cause = fmt::format("{} has no repository {}", target.registry.host(), target.image->repository);
    result.remedy = "push the image first, or correct its name";
    return result;
  }
  result.cause = fmt::format("repository {} has no {}", target.image->repository, target.image->identifier());
  result.remedy = "push it, or use one that is there:";
  for (std::size_t i = 0; i < std::min<std::size_t>(tags.size(), 10); ++i) result.remedy += " " + tags[i];
  if (tags.size() > 10) result.remedy += fmt::format(" and {} more", tags.size() - 10);
  return result;
}

std::uint64_t bytes_of(const std::vector<oci::Descriptor> &blobs) {
  std::uint64_t sum = 0;
  for (const oci::Descriptor &blob : blobs) sum += blob.size;
  return sum;
}

/// HEADs the image, compares its digest and reads its manifests; then `go_on` with the tree.
Result check_tree(Target &target, Result result,
                  const std::function<void(const oci::ServedImage &, Result &)> &go_on) {
  try {
    if (!target.tree) {
      const auto root = target.registry.head_manifest(target.image->repository, target.image->identifier());
      if (!root) return not_there(target, std::move(result));
      if (target.digest && root->digest != *target.digest) {
        return wrong_digest(target, std::move(result), *root);
      }
      target.tree = oci::read_served(target.registry, target.image->repository, *root, target.observer);
    }
    go_on(*target.tree, result);
  } catch (const sdk::Error &error) {
    return failure(result.check, result.asked, error, target.registry.host());
  }
  return result;
}

void missing_manifests(const oci::ServedImage &tree, Result &result) {
  result.came +=
      fmt::format("{} of the {} manifests that the index names missing, {} the first", tree.missing.size(),
                  tree.manifests.size() - 1 + tree.missing.size(), tree.missing.front().digest.brief());
  if (tree.missing.front().platform)
    result.came += fmt::format(" ({})", tree.missing.front().platform->str());
  result.cause =
      "a garbage collection that removes untagged manifests took the platforms of the index with it";
  result.remedy = "push the image again with platform = \"all\"; collect garbage without --delete-untagged";
  result.status = PIPE_E_MISMATCH;
}

}  // namespace

Result check_image(Target &target) {
  Result start{.check = "image",
               .asked = fmt::format("HEAD of {} and of all it refers to", target.image->familiar())};
  return check_tree(target, std::move(start), [&](const oci::ServedImage &tree, Result &result) {
    const std::vector<oci::Descriptor> blobs = blobs_of(tree);
    Findings findings;
    sdk::for_each_parallel(blobs.size(), kHeadThreads, [&](std::size_t i) {
      target.observer.check_cancelled();
      findings.note(blobs[i], oci::look_at_blob(target.registry, target.image->repository, blobs[i]));
    });
    if (!findings.empty()) return findings.describe(result);
    if (!tree.missing.empty()) return missing_manifests(tree, result);
    result.came =
        fmt::format("{}: {} manifest{}, {} blobs, {} bytes", tree.root.digest.str(), tree.manifests.size(),
                    tree.manifests.size() == 1 ? "" : "s", blobs.size(), bytes_of(blobs));
  });
}

Result check_content(Target &target) {
  Result start{.check = "content",
               .asked = fmt::format("GET and SHA-256 of all of {}", target.image->familiar())};
  return check_tree(target, std::move(start), [&](const oci::ServedImage &tree, Result &result) {
    const std::vector<oci::Descriptor> blobs = blobs_of(tree);
    const std::uint64_t total = bytes_of(blobs);
    std::atomic<std::uint64_t> done = 0;
    Findings findings;
    sdk::for_each_parallel(blobs.size(), kGetThreads, [&](std::size_t i) {
      findings.note(
          blobs[i],
          oci::hash_blob(target.registry, target.image->repository, blobs[i], [&](std::size_t size) {
            target.observer.check_cancelled();
            target.observer.progress({.done = done += size, .total = total, .label = "hashing"});
          }));
    });
    if (!findings.empty()) return findings.describe(result);
    if (!tree.missing.empty()) return missing_manifests(tree, result);
    result.came = fmt::format("{} blobs, {} bytes, as their digests say", blobs.size(), total);
  });
}

}  // namespace verify
