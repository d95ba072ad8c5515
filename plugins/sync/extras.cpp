#include "extras.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/pushed.hpp>

#include <algorithm>

namespace mirror {

namespace oci = pipes::oci;
using pipes::sdk::Error;

std::vector<std::string> find_extras(oci::Registry &registry, const Held &held) {
  const auto is_pattern = [](const Rule &rule) { return !rule.tags.is_literal(); };
  if (std::ranges::none_of(held.rules, is_pattern)) return {};
  std::vector<std::string> extras;
  try {
    for (std::string &tag : registry.tags(held.repository.repository)) {
      const auto governs = [&](const Rule &rule) { return rule.governs(tag); };
      if (!held.selected.contains(tag) && std::ranges::any_of(held.rules, governs))
        extras.push_back(std::move(tag));
    }
  } catch (const Error &error) {
    if (error.status != PIPE_E_NOT_FOUND) throw;  // the repository is not there yet
  }
  std::ranges::sort(extras);
  return extras;
}

namespace {

/// Every manifest that another tag of the repository needs, with that tag. Each that is not known costs a
/// HEAD, each index a GET.
std::map<oci::Digest, std::string> needed(oci::Registry &registry, const Held &held,
                                          const std::set<std::string> &extras) {
  const std::string &repository = held.repository.repository;
  std::map<oci::Digest, std::string> result;
  for (const std::string &tag : registry.tags(repository)) {
    if (extras.contains(tag)) continue;
    const auto selected = held.selected.find(tag);
    std::optional<oci::Descriptor> image;
    if (selected != held.selected.end()) image = selected->second;
    if (!image) image = registry.head_manifest(repository, tag);
    if (!image || !result.emplace(image->digest, tag).second) continue;
    if (image->media_type == oci::kOciManifest || image->media_type == oci::kDockerManifest) continue;
    for (const oci::Descriptor &child : registry.manifest(repository, image->digest.str()).manifests)
      result.emplace(child.digest, tag);
  }
  return result;
}

}  // namespace

std::vector<Deleted> delete_extras(oci::Registry &registry, const Held &held,
                                   const std::vector<std::string> &extras) {
  const std::string &repository = held.repository.repository;
  registry.expect_push(repository);
  std::vector<Deleted> done;
  std::optional<std::map<oci::Digest, std::string>> kept;  // where tags can't be deleted alone
  std::set<oci::Digest> gone;
  for (const std::string &tag : extras) {
    Deleted &one = done.emplace_back(Deleted{.tag = tag, .digest = {}, .kept_because = {}});
    if (const auto there = registry.head_manifest(repository, tag)) one.digest = there->digest;
    if (!one.digest || (!kept && oci::delete_tag(registry, repository, tag))) continue;
    if (!kept) kept = needed(registry, held, {extras.begin(), extras.end()});
    if (const auto other = kept->find(*one.digest); other != kept->end()) {
      one.kept_because =
          fmt::format("{} needs the same image, and this registry would delete it for both", other->second);
    } else if (gone.insert(*one.digest).second) {
      registry.delete_manifest(repository, one.digest->str());
    }
  }
  return done;
}

}  // namespace mirror
