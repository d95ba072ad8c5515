#include "extras.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/attached.hpp>
#include <pipe/oci/pushed.hpp>

#include <algorithm>

namespace mirror {

namespace oci = pipes::oci;
using pipes::sdk::Error;
using Target = oci::Copier::Target;
using Tags = std::vector<std::string>;

namespace {

bool is_index(const oci::Descriptor &image) {
  return image.media_type != oci::kOciManifest && image.media_type != oci::kDockerManifest;
}

/// Every manifest that a tag which stays needs, with that tag. Each that is not known costs a HEAD, each
/// index a GET.
std::map<oci::Digest, std::string> needed(const Target &target, const Held &held, const Tags &all,
                                          const std::set<std::string> &going) {
  std::map<oci::Digest, std::string> result;
  for (const std::string &tag : all) {
    if (going.contains(tag)) continue;
    const auto selected = held.selected.find(tag);
    std::optional<oci::Descriptor> image;
    if (selected != held.selected.end()) image = selected->second;
    if (!image) image = target.registry.head_manifest(target.repository, tag);
    if (!image || !result.emplace(image->digest, tag).second || !is_index(*image)) continue;
    for (const oci::Descriptor &child :
         target.registry.manifest(target.repository, image->digest.str()).manifests)
      result.emplace(child.digest, tag);
  }
  return result;
}

/// The images behind `extras`, and those that they are indexes of.
std::set<oci::Digest> images_of(const Target &target, const Tags &extras) {
  std::set<oci::Digest> images;
  for (const std::string &tag : extras) {
    const auto image = target.registry.head_manifest(target.repository, tag);
    if (!image || !images.insert(image->digest).second || !is_index(*image)) continue;
    for (const oci::Descriptor &child :
         target.registry.manifest(target.repository, image->digest.str()).manifests)
      images.insert(child.digest);
  }
  return images;
}

/// Tags such as sha256-….sig of images that go with `extras` and that nothing else needs.
Tags attached_to(const Target &target, const Held &held, const Tags &all, const Tags &extras) {
  Tags attached;
  std::ranges::copy_if(all, std::back_inserter(attached), oci::is_attached_tag);
  if (extras.empty() || attached.empty()) return {};
  const std::set<oci::Digest> images = images_of(target, extras);
  std::map<std::string, oci::Digest> ours;
  for (const oci::Digest &image : images)
    for (const std::string &tag : attached)
      if (tag.starts_with(oci::fallback_tag(image))) ours.emplace(tag, image);
  if (ours.empty()) return {};
  std::set<std::string> going(extras.begin(), extras.end());
  going.insert(attached.begin(), attached.end());
  const auto kept = needed(target, held, all, going);
  Tags result;
  for (const auto &[tag, image] : ours)
    if (!kept.contains(image)) result.push_back(tag);
  return result;
}

}  // namespace

Tags list_below(const Target &any) {
  const std::string prefix = any.repository.substr(0, any.repository.size() - Place::kAny.size());
  Tags below;
  for (const std::string &name : any.registry.repositories())
    if (name.starts_with(prefix)) below.push_back(name.substr(prefix.size()));
  return below;
}

std::vector<Held> find_lost(oci::Copier &copier, const std::vector<Rule> &rules, const Filters &filters,
                            const Place &from, const Place &to, const std::set<std::string> &known) {
  std::vector<Rule> many;
  std::ranges::copy_if(rules, std::back_inserter(many),
                       [](const Rule &rule) { return rule.is_about_many() && !rule.tags.is_literal(); });
  if (many.empty()) return {};
  std::vector<Held> lost;
  for (const std::string &path : list_below(copier.target(to.any()))) {
    std::vector<Rule> about;
    for (const Rule &rule : many)
      if (oci::glob_matches(rule.repository, path)) about.push_back(rule.for_repository(path));
    for (Repository &one : group(std::move(about), filters, from, to))
      if (!known.contains(one.to.name()))
        lost.push_back(
            {.repository = one.to, .rules = std::move(one.rules), .selected = {}, .lost_by = one.from});
  }
  return lost;
}

Tags find_extras(const Target &target, const Held &held) {
  const auto is_pattern = [](const Rule &rule) { return !rule.tags.is_literal(); };
  if (std::ranges::none_of(held.rules, is_pattern)) return {};
  Tags all, extras;
  try {
    all = target.registry.tags(target.repository);
  } catch (const Error &error) {
    if (error.status != PIPE_E_NOT_FOUND) throw;  // the repository is not there yet
  }
  std::ranges::copy_if(all, std::back_inserter(extras), [&](const std::string &tag) {
    const auto governs = [&](const Rule &rule) { return rule.governs(tag); };
    return !held.selected.contains(tag) && std::ranges::any_of(held.rules, governs);
  });
  std::ranges::sort(extras);
  const Tags attached = attached_to(target, held, all, extras);
  extras.insert(extras.end(), attached.begin(), attached.end());
  return extras;
}

std::vector<Deleted> delete_extras(const Target &target, const Held &held, const Tags &extras) {
  const auto &[registry, repository] = target;
  registry.expect_push(repository);
  std::vector<Deleted> done;
  std::optional<std::map<oci::Digest, std::string>> kept;  // where tags can't be deleted alone
  std::set<oci::Digest> gone;
  for (const std::string &tag : extras) {
    Deleted &one = done.emplace_back(Deleted{.tag = tag, .digest = {}, .kept_because = {}});
    if (const auto there = registry.head_manifest(repository, tag)) one.digest = there->digest;
    if (!one.digest || (!kept && oci::delete_tag(registry, repository, tag))) continue;
    if (!kept) kept = needed(target, held, registry.tags(repository), {extras.begin(), extras.end()});
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
