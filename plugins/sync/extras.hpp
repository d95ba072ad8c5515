#pragma once
// Tags, and whole repositories, at the target that the source has no more: found, and deleted.
#include <pipe/oci/copy.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "selection.hpp"

namespace mirror {

/// A repository at the target, with all rules that lead there and all tags that they selected.
struct Held {
  pipes::oci::Reference repository;  // without tag
  std::vector<Rule> rules;
  std::map<std::string, std::optional<pipes::oci::Descriptor>> selected;  // what they are, where known
  std::optional<pipes::oci::Reference> lost_by;                           // where it would be at the source
};

/// The paths of the repositories that a registry lists, below a place: `any` is where its Place::any() is.
/// Throws what Registry::repositories throws.
std::vector<std::string> list_below(const pipes::oci::Copier::Target &any);

/// The repositories below `to` that a rule about many speaks of and that are not among `known` (full names):
/// the source does not list them. One request a page of the target's list, none without such a rule. Throws
/// what Registry::repositories throws.
std::vector<Held> find_lost(pipes::oci::Copier &, const std::vector<Rule> &, const Filters &,
                            const Place &from, const Place &to, const std::set<std::string> &known);

/// The tags that a rule governs and that are not selected, with those of signatures and the like that belong
/// to their images and to no other (oci::is_attached_tag). One request a page of the list, none where the
/// rules name literal tags only; where there are such tags, a few for each image that goes or stays.
std::vector<std::string> find_extras(const pipes::oci::Copier::Target &, const Held &);

struct Deleted {
  std::string tag;
  std::optional<pipes::oci::Digest> digest;  // what it stood for; nullopt: it was gone already
  std::string kept_because;                  // empty: it is deleted
};

/// Deletes them: the tags alone where the registry does that; else their manifests, unless another tag points
/// at the same one or at an index that has it. Throws what Registry throws.
std::vector<Deleted> delete_extras(const pipes::oci::Copier::Target &, const Held &,
                                   const std::vector<std::string> &extras);

}  // namespace mirror
