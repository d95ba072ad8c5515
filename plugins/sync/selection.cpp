#include "selection.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/attached.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace mirror {

namespace oci = pipes::oci;
using pipes::sdk::Error;

bool Repository::needs_tags() const {
  return std::ranges::any_of(rules, [](const Rule &rule) { return !rule.tags.is_literal(); });
}

bool Repository::governs(const std::string &tag) const {
  return std::ranges::any_of(rules, [&](const Rule &rule) { return rule.governs(tag); });
}

bool Repository::takes_all() const {
  return std::ranges::any_of(rules, &Rule::takes_all);
}

std::vector<Rule> spread(const std::vector<Rule> &rules, const std::vector<std::string> &all) {
  std::vector<Rule> result;
  for (const Rule &rule : rules) {
    if (!rule.is_about_many()) {
      result.push_back(rule);
      continue;
    }
    for (const std::string &name : all)
      if (oci::glob_matches(rule.repository, name)) result.push_back(rule.for_repository(name));
  }
  return result;
}

std::vector<Repository> group(std::vector<Rule> rules, const Filters &filters, const Place &from,
                              const Place &to) {
  std::vector<Repository> repositories;
  std::map<std::pair<std::string, std::string>, std::size_t> known;
  for (Rule &rule : rules) {
    const oci::Reference source = from.repository(rule.repository);
    oci::Reference target = source;
    if (to.kind == Place::Kind::registry)
      target = to.repository(rule.as.empty() ? from.path_of(source) : rule.as);
    else if (!rule.as.empty())
      target = to.repository(rule.as);
    if (!rule.tags.is_literal()) {
      rule.exclude.insert(rule.exclude.end(), filters.exclude.begin(), filters.exclude.end());
      if (!rule.newest && filters.newest > 0) rule.newest = filters.newest;
    }
    const auto [at, is_new] = known.try_emplace({source.name(), target.name()}, repositories.size());
    if (is_new) repositories.push_back({.from = source, .to = target, .rules = {}});
    repositories[at->second].rules.push_back(std::move(rule));
  }
  return repositories;
}

std::vector<Image> select(const std::vector<Repository> &repositories, std::size_t which,
                          const std::vector<std::string> &tags) {
  const Repository &repository = repositories[which];
  std::vector<Image> images;
  std::set<std::pair<std::string, std::optional<oci::Digest>>> seen;
  const auto add = [&](const std::string &tag, const std::optional<oci::Digest> &digest) {
    if (!seen.emplace(tag, digest).second) return;
    Image image{.repository = which, .from = repository.from, .to = repository.to};
    image.from.tag = image.to.tag = tag;
    image.from.digest = digest;
    if (tag.empty()) image.to.digest = digest;
    images.push_back(std::move(image));
  };
  for (const Rule &rule : repository.rules) {
    if (rule.digest && !rule.has_tag)
      add({}, rule.digest);
    else
      for (const std::string &tag : rule.select(tags)) add(tag, rule.digest);
  }
  if (repository.takes_attached)
    for (const std::string &tag : tags)
      if (oci::is_attached_tag(tag)) add(tag, {});
  return images;
}

void check_targets(const std::vector<Image> &images) {
  std::map<std::string, const Image *> taken;
  for (const Image &image : images) {
    const auto [at, is_new] = taken.try_emplace(image.to.str(), &image);
    if (is_new) continue;
    throw Error(
        PIPE_E_INVALID,
        fmt::format("{} and {} would both be {}", at->second->from.str(), image.from.str(), image.to.str()),
        "give one of them another name by as=REPOSITORY, or leave it out");
  }
}

}  // namespace mirror
