#include "registry_check.hpp"

#include <fmt/core.h>
#include <pipe/parallel.hpp>

#include <algorithm>
#include <optional>
#include <tuple>

namespace fsck {
namespace {

using oci::BlobFinding;
using oci::BlobState;
using sdk::Error;

constexpr std::size_t kHeadThreads = 16;  // a HEAD waits for the network only
constexpr std::size_t kGetThreads = 4;    // a GET fills it, and hashing fills a core

}  // namespace

/// What is wrong with one image is a finding; that the registry is gone, or lets nobody in, is not.
std::string RegistryCheck::said_of(const Error &error) const {
  switch (error.status) {
    case PIPE_E_NOT_FOUND:
    case PIPE_E_MISMATCH:
    case PIPE_E_INVALID:
      return error.message;
    case PIPE_E_TRANSIENT:
      if (registry_.ping().status < 500) return error.message;
      [[fallthrough]];
    default:
      throw error;
  }
}

std::vector<RegistryCheck::Root> RegistryCheck::roots(const std::string &repository,
                                                      std::vector<Broken> &dangling) {
  const std::vector<std::string> tags = registry_.tags(repository);
  std::vector<std::optional<oci::Descriptor>> images(tags.size());
  std::vector<std::string> problems(tags.size(), "the tag is listed, and its manifest is missing");
  sdk::for_each_parallel(tags.size(), kHeadThreads, [&](std::size_t i) {
    observer_.check_cancelled();
    try {
      const auto turn = registry_.enter();
      images[i] = registry_.head_manifest(repository, tags[i]);
    } catch (const Error &error) {
      problems[i] = said_of(error);
    }
  });
  std::map<oci::Digest, Root> by_digest;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (images[i]) {
      Root &root =
          by_digest.try_emplace(images[i]->digest, Root{.descriptor = *images[i], .tags = {}}).first->second;
      root.tags.push_back(tags[i]);
    } else {
      dangling.push_back({.repository = repository, .tag = tags[i], .digest = {}, .problems = {problems[i]}});
    }
  }
  totals_.tags += tags.size();
  std::vector<Root> result;
  for (auto &[digest, root] : by_digest) result.push_back(std::move(root));
  return result;
}

void RegistryCheck::read(const std::string &repository, Root &root) {
  try {
    const auto turn = registry_.enter();
    root.image = oci::read_served(registry_, repository, root.descriptor, observer_);
  } catch (const Error &error) {
    root.problems.push_back(said_of(error));
    root.damaged = error.status == PIPE_E_MISMATCH || error.status == PIPE_E_INVALID;
  }
  for (const oci::Descriptor &missing : root.image.missing)
    root.problems.push_back(fmt::format("manifest {} of its index{} is missing", missing.digest.brief(),
                                        missing.platform ? " (" + missing.platform->str() + ")" : ""));
}

BlobFinding RegistryCheck::check_blob(const std::string &repository, const oci::Descriptor &blob) {
  observer_.check_cancelled();
  try {
    const auto turn = registry_.enter();
    BlobFinding there = oci::look_at_blob(registry_, repository, blob);
    if (!content_ || there.state != BlobState::sound) return there;
    {
      const std::lock_guard lock(mutex_);
      if (const auto known = hashed_.find(blob.digest); known != hashed_.end()) return known->second;
    }
    const BlobFinding hashed = oci::hash_blob(registry_, repository, blob, [&](std::size_t bytes) {
      observer_.check_cancelled();
      observer_.progress({.done = done_ += bytes, .label = "hashing"});
    });
    const std::lock_guard lock(mutex_);
    hashed_.emplace(blob.digest, hashed);
    return hashed;
  } catch (const Error &error) {
    return {BlobState::wrong, "can't be read: " + said_of(error)};
  }
}

RegistryCheck::Findings RegistryCheck::check_blobs(const std::string &repository,
                                                   const std::map<oci::Digest, oci::Descriptor> &blobs) {
  std::vector<const oci::Descriptor *> all;
  for (const auto &[digest, blob] : blobs) all.push_back(&blob);
  std::vector<BlobFinding> found(all.size());
  sdk::for_each_parallel(all.size(), content_ ? kGetThreads : kHeadThreads,
                         [&](std::size_t i) { found[i] = check_blob(repository, *all[i]); });
  Findings bad;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (found[i].state != BlobState::sound) bad.emplace(all[i]->digest, std::move(found[i]));
  totals_.blobs += all.size();
  for (const oci::Descriptor *blob : all) totals_.bytes += blob->size;
  return bad;
}

void RegistryCheck::look_at(const std::string &repository) {
  std::vector<Broken> found;
  std::vector<Root> images = roots(repository, found);
  sdk::for_each_parallel(images.size(), kGetThreads, [&](std::size_t i) { read(repository, images[i]); });
  std::map<oci::Digest, oci::Descriptor> blobs;
  for (const Root &root : images) {
    totals_.manifests += root.image.manifests.size();
    blobs.insert(root.image.blobs.begin(), root.image.blobs.end());
  }
  const Findings bad = check_blobs(repository, blobs);
  for (Root &root : images) {
    for (const auto &[digest, blob] : root.image.blobs) {
      const auto problem = bad.find(digest);
      if (problem == bad.end()) continue;
      root.problems.push_back(fmt::format("blob {} {}", digest.brief(), problem->second.what));
      root.damaged = root.damaged || problem->second.state == BlobState::wrong;
    }
    if (root.problems.empty()) continue;
    for (const std::string &tag : root.tags)
      found.push_back({.repository = repository,
                       .tag = tag,
                       .digest = root.descriptor.digest.str(),
                       .problems = root.problems,
                       .damaged = root.damaged});
  }
  ++totals_.repositories;
  std::ranges::sort(found, {}, &Broken::tag);
  std::ranges::move(found, std::back_inserter(broken_));
}

}  // namespace fsck
