#pragma once
// One repository: what it has, what of it goes, and the deletion.
#include <pipe/error.hpp>
#include <pipe/oci/registry.hpp>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "retention.hpp"

namespace prune {

namespace oci = pipes::oci;
namespace sdk = pipes::sdk;

/// A manifest goes as a whole: with all of its tags, the images of an index, and what is attached to it.
struct Removal {
  oci::Digest image;
  std::vector<std::string> tags;
  /// In the order in which they are deleted: what is attached first, so that a run that is killed leaves
  /// the rest to the next one; the image; the images of an index, as far as they are its alone.
  std::vector<oci::Digest> manifests;
};

class Repository {
 public:
  Repository(oci::Registry &registry, std::string name, sdk::Observer &observer)
      : registry_(registry), name_(std::move(name)), observer_(observer) {}

  /// Asks for its tags and decides. Changes nothing.
  void look(const Rules &, std::int64_t now);

  const std::string &name() const { return name_; }
  const std::vector<Tag> &tags() const { return tags_; }
  const std::vector<Removal> &removals() const { return removals_; }

  /// Deletes them, each followed by `done`. One that somebody has pushed to since stays, with a warning.
  void remove(const std::function<void(const Removal &)> &done);

 private:
  /// The images of these tags; HEADs, several at once.
  std::vector<Tag> heads(std::vector<std::string> names);
  void read_tags();
  void read_ages(const Rules &);
  void keep_what_is_needed();
  void plan_removals();
  void add_parts(const oci::Manifest &index, const std::string &reason);
  std::optional<std::int64_t> created(const oci::Manifest &, int depth);
  /// GET, once.
  const oci::Manifest &manifest(const oci::Digest &);
  const std::vector<std::string> &attached_tags_of(const oci::Digest &) const;
  std::vector<oci::Descriptor> referrers(const oci::Digest &);

  oci::Registry &registry_;
  const std::string name_;
  sdk::Observer &observer_;
  std::vector<Tag> tags_;
  std::map<std::string, std::vector<std::string>> attached_;  // by the tag that stands for their image
  std::map<oci::Digest, oci::Manifest> manifests_;
  std::map<oci::Digest, std::string> needed_;  // manifests that stay, and why
  std::vector<Removal> removals_;
  bool lists_referrers_ = true;  // as far as is known
};

}  // namespace prune
