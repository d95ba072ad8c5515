#pragma once
// From the rules to the images: which repository goes where, and which of its tags.
#include <pipe/oci/reference.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include "place.hpp"
#include "rule.hpp"

namespace mirror {

/// One repository on its way to another, with the rules that speak of it.
struct Repository {
  pipes::oci::Reference from, to;  // without tags; `to` of a folder is `from`
  std::vector<Rule> rules;
  /// Tags that belong to an image (oci::is_attached_tag) are taken as tags of their own: all of them, those
  /// of images without a tag as well.
  bool takes_attached = false;

  /// Whether one has to ask which tags there are.
  bool needs_tags() const;
  bool governs(const std::string &tag) const;
  bool takes_all() const;
};

struct Image {
  std::size_t repository = 0;  // which of them
  pipes::oci::Reference from, to;
};

/// The rules with each that is about many repositories put once for every one of `all` that it matches (names
/// below `from`, or full ones in a folder).
std::vector<Rule> spread(const std::vector<Rule> &, const std::vector<std::string> &all);

/// The rules by repository, in the order in which they were written. `exclude` and `newest` hold for every
/// rule with a pattern (`newest` unless it has its own). Throws sdk::Error{PIPE_E_INVALID}.
struct Filters {
  std::vector<TagPattern> exclude;
  std::size_t newest = 0;  // 0: all
};
std::vector<Repository> group(std::vector<Rule> rules, const Filters &, const Place &from, const Place &to);

/// The images of one repository, out of the tags that it has (empty where nobody had to ask).
std::vector<Image> select(const std::vector<Repository> &, std::size_t which,
                          const std::vector<std::string> &tags);

/// Throws sdk::Error{PIPE_E_INVALID} where two images would get one name.
void check_targets(const std::vector<Image> &);

}  // namespace mirror
