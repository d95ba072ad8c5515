#include "repository.hpp"

#include <fmt/core.h>
#include <pipe/oci/attached.hpp>
#include <pipe/oci/inspect.hpp>
#include <pipe/parallel.hpp>

#include <algorithm>
#include <mutex>

namespace prune {
namespace {

using sdk::Error;

constexpr std::size_t kThreads = 8;               // a HEAD waits for the network only
constexpr int kMaxDepth = 4;                      // of indexes in indexes
constexpr std::size_t kMaxManifests = 1000;       // of one image, with all that is attached to it
constexpr std::uint64_t kMaxConfig = 4ULL << 20;  // a larger one is no image's
constexpr const char *kCreated = "org.opencontainers.image.created";

bool is_index(const oci::Descriptor &d) {
  return d.media_type == oci::kOciIndex || d.media_type == oci::kDockerList;
}

}  // namespace

const oci::Manifest &Repository::manifest(const oci::Digest &digest) {
  auto found = manifests_.find(digest);
  if (found == manifests_.end())
    found = manifests_.emplace(digest, registry_.manifest(name_, digest.str())).first;
  return found->second;
}

void Repository::look(const Rules &rules, std::int64_t now) {
  read_tags();
  if (rules.need_age()) read_ages(rules);
  decide(tags_, rules, now);
  const auto goes = [](const Tag &tag) { return tag.kept_because.empty(); };
  if (std::ranges::none_of(tags_, goes)) return;
  keep_what_is_needed();
  plan_removals();
}

std::vector<Tag> Repository::heads(std::vector<std::string> names) {
  std::vector<std::optional<oci::Descriptor>> images(names.size());
  sdk::for_each_parallel(names.size(), kThreads, [&](std::size_t i) {
    observer_.check_cancelled();
    const auto turn = registry_.enter();
    images[i] = registry_.head_manifest(name_, names[i]);
  });
  std::vector<Tag> tags;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (images[i]) tags.push_back({.name = std::move(names[i]), .image = *images[i]});
  return tags;
}

void Repository::read_tags() {
  std::vector<std::string> names;
  for (std::string &tag : registry_.tags(name_)) {
    if (oci::is_attached_tag(tag))
      attached_[tag.substr(0, tag.find('.'))].push_back(std::move(tag));
    else
      names.push_back(std::move(tag));
  }
  std::ranges::sort(names);
  tags_ = heads(std::move(names));
}

void Repository::read_ages(const Rules &rules) {
  std::map<oci::Digest, std::optional<std::int64_t>> dates;
  for (const Tag &tag : tags_)
    if (rules.judges(tag.name) || rules.keep > 0) dates.emplace(tag.image.digest, std::nullopt);
  std::vector<oci::Digest> digests;
  for (const auto &[digest, date] : dates) digests.push_back(digest);
  std::mutex mutex;
  sdk::for_each_parallel(digests.size(), kThreads, [&](std::size_t i) {
    observer_.check_cancelled();
    const auto turn = registry_.enter();
    oci::Manifest root = registry_.manifest(name_, digests[i].str());
    const std::optional<std::int64_t> date = created(root, 0);
    const std::lock_guard lock(mutex);
    dates.at(digests[i]) = date;
    manifests_.emplace(digests[i], std::move(root));
  });
  for (Tag &tag : tags_)
    if (const auto found = dates.find(tag.image.digest); found != dates.end()) tag.created = found->second;
}

/// The annotation; else what the config says; of an index, what the newest of its images says.
std::optional<std::int64_t> Repository::created(const oci::Manifest &of, int depth) {
  if (const auto said = of.annotations.find(kCreated); said != of.annotations.end())
    if (const auto date = parse_created(said->second)) return date;
  if (of.is_index()) {
    std::optional<std::int64_t> newest;
    for (const oci::Descriptor &child : of.manifests) {
      if (oci::is_attestation(child) || depth == kMaxDepth) continue;
      try {
        newest = std::max(newest, created(registry_.manifest(name_, child.digest.str()), depth + 1));
      } catch (const Error &error) {
        if (error.status != PIPE_E_NOT_FOUND) throw;  // not all platforms were copied
      }
    }
    return newest;
  }
  if (!of.config || of.config->size > kMaxConfig) return std::nullopt;
  std::string config;
  try {
    registry_.get_blob(name_, *of.config,
                       [&](const char *data, std::size_t size) { config.append(data, size); });
    return parse_created(oci::read_image_config(config).created);
  } catch (const Error &error) {
    // A broken or missing config has no date. What has none is kept.
    if (error.status != PIPE_E_NOT_FOUND && error.status != PIPE_E_INVALID && error.status != PIPE_E_MISMATCH)
      throw;
    return std::nullopt;
  }
}

/// The images of a kept index, and theirs.
void Repository::add_parts(const oci::Manifest &index, const std::string &reason) {
  for (const oci::Descriptor &child : index.manifests) {
    if (!needed_.emplace(child.digest, reason).second || !is_index(child)) continue;
    try {
      add_parts(manifest(child.digest), reason);
    } catch (const Error &error) {
      if (error.status != PIPE_E_NOT_FOUND) throw;
    }
  }
}

void Repository::keep_what_is_needed() {
  for (const Tag &tag : tags_) {
    if (tag.kept_because.empty()) continue;
    needed_.insert_or_assign(tag.image.digest, fmt::format("the same image as {}, which stays", tag.name));
    if (is_index(tag.image)) add_parts(manifest(tag.image.digest), "part of " + tag.name + ", which stays");
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (Tag &tag : tags_) {
      if (!tag.kept_because.empty()) continue;
      const auto found = needed_.find(tag.image.digest);
      const oci::Manifest &its = manifest(tag.image.digest);
      const bool refers = its.subject && needed_.contains(its.subject->digest);
      if (found == needed_.end() && !refers) continue;
      tag.kept_because = found != needed_.end() ? found->second : "it refers to an image that stays";
      needed_.emplace(tag.image.digest, tag.kept_because);
      if (its.is_index()) add_parts(its, "part of " + tag.name + ", which stays");
      changed = true;
    }
  }
}

const std::vector<std::string> &Repository::attached_tags_of(const oci::Digest &image) const {
  static const std::vector<std::string> kNone;
  const auto found = attached_.find(oci::fallback_tag(image));
  return found == attached_.end() ? kNone : found->second;
}

/// From the registry's own list; where it keeps none, they are children of the index under a tag.
std::vector<oci::Descriptor> Repository::referrers(const oci::Digest &subject) {
  if (!lists_referrers_) return {};
  const auto list = registry_.referrers(name_, subject);
  if (!list) lists_referrers_ = false;
  return list ? list->manifests : std::vector<oci::Descriptor>();
}

void Repository::plan_removals() {
  struct Node {
    oci::Digest digest;
    bool attached;
  };
  std::map<oci::Digest, std::vector<std::string>> going;
  for (const Tag &tag : tags_)
    if (tag.kept_because.empty()) going[tag.image.digest].push_back(tag.name);
  std::set<oci::Digest> taken;                           // by any removal
  std::map<oci::Digest, std::set<std::string>> reached;  // what is attached, by the tags it was found under
  for (const auto &[image, tags] : going) {
    Removal removal{.image = image, .tags = tags, .manifests = {}};
    std::vector<Node> nodes{{image, false}};
    taken.insert(image);
    const auto add = [&](const oci::Digest &digest, bool attached) {
      const bool is_tagged = going.contains(digest);  // it is a removal of its own
      if (needed_.contains(digest) || is_tagged || !taken.insert(digest).second) return;
      nodes.push_back({digest, attached});
    };
    for (std::size_t i = 0; i < nodes.size() && nodes.size() <= kMaxManifests; ++i) {
      observer_.check_cancelled();
      const auto [digest, attached] = Node(nodes[i]);  // a copy: `add` lets the list grow
      for (const std::string &tag : attached_tags_of(digest))
        if (const auto there = registry_.head_manifest(name_, tag)) {
          reached[there->digest].insert(tag);
          add(there->digest, true);
        }
      for (const oci::Descriptor &referrer : referrers(digest)) add(referrer.digest, true);
      try {
        for (const oci::Descriptor &child : manifest(digest).manifests) add(child.digest, attached);
      } catch (const Error &error) {
        if (error.status != PIPE_E_NOT_FOUND) throw;  // a platform that was never there
      }
    }
    for (const Node &node : nodes)
      if (node.attached) removal.manifests.push_back(node.digest);
    for (const Node &node : nodes)
      if (!node.attached) removal.manifests.push_back(node.digest);
    removals_.push_back(std::move(removal));
  }
  if (reached.empty()) return;
  // One signature under the tags of several images stays, unless all of them go.
  std::set<oci::Digest> shared;
  for (const auto &[base, tags] : attached_)
    for (const std::string &tag : tags) {
      const auto there = registry_.head_manifest(name_, tag);
      const auto found = there ? reached.find(there->digest) : reached.end();
      if (found != reached.end() && !found->second.contains(tag)) shared.insert(there->digest);
    }
  for (Removal &removal : removals_)
    std::erase_if(removal.manifests, [&](const oci::Digest &digest) { return shared.contains(digest); });
}

void Repository::remove(const std::function<void(const Removal &)> &done) {
  if (removals_.empty()) return;
  // Deleting a manifest deletes every tag that points at it: that none has been moved there since is asked
  // just before.
  std::vector<std::string> names;
  for (std::string &tag : registry_.tags(name_))
    if (!oci::is_attached_tag(tag)) names.push_back(std::move(tag));
  const std::vector<Tag> now = heads(std::move(names));
  for (const Removal &removal : removals_) {
    const auto is_news = [&](const Tag &tag) {
      const bool own = std::ranges::find(removal.tags, tag.name) != removal.tags.end();
      if (own) return tag.image.digest != removal.image;
      return std::ranges::find(removal.manifests, tag.image.digest) != removal.manifests.end();
    };
    if (const auto pushed = std::ranges::find_if(now, is_news); pushed != now.end()) {
      observer_.log(sdk::Level::warning, fmt::format("{}:{} was pushed meanwhile, so {} stays", name_,
                                                     pushed->name, removal.image.brief()));
      continue;
    }
    for (const oci::Digest &digest : removal.manifests) {
      observer_.check_cancelled();
      try {
        registry_.delete_manifest(name_, digest.str());
      } catch (const Error &error) {
        if (error.status != PIPE_E_NOT_FOUND) throw;
      }
    }
    done(removal);
  }
}

}  // namespace prune
