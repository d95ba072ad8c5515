#pragma once
// The entries of `images`: which tags of which repository go where.
#include <pipe/oci/digest.hpp>
#include <pipe/oci/tag_pattern.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mirror {  // sync() is a function of <unistd.h>

using pipes::oci::TagPattern;

/// One entry: `REPOSITORY[:TAGS][@DIGEST] [exclude=PATTERN…] [newest=N] [as=REPOSITORY]`, as in
/// "library/redis:>=6.2 <8 exclude=*-alpine newest=3".
struct Rule {
  std::string repository;  // as it was written: one, or a pattern
  TagPattern tags = TagPattern::parse("latest");
  bool has_tag = true;                       // false: a digest alone
  std::optional<pipes::oci::Digest> digest;  // exactly this one; not with a pattern
  std::vector<TagPattern> exclude;
  std::optional<std::size_t> newest;
  std::string as;  // the repository at the target; empty: the same

  /// Throws sdk::Error{PIPE_E_INVALID} that says what is wrong with which entry.
  static Rule parse(std::string_view entry);

  /// It names repositories by a pattern with `*` or `?`, so that somebody has to ask which there are.
  bool is_about_many() const { return repository.find_first_of("*?") != std::string::npos; }
  /// It selects every tag there is.
  bool takes_all() const { return has_tag && tags.text() == "*" && exclude.empty() && !newest; }
  /// This rule for one of them.
  Rule for_repository(const std::string &name) const;
  /// Whether a tag is this rule's to copy, and to delete. A literal one is never excluded.
  bool governs(const std::string &tag) const;
  /// The tags out of `all` that are to be copied.
  std::vector<std::string> select(const std::vector<std::string> &all) const;
};

}  // namespace mirror
