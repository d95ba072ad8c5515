#pragma once
// Which tags of a repository are kept, and why. Asks nobody.
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/tag_pattern.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prune {

/// A tag is kept where any of the rules keeps it.
struct Rules {
  std::vector<pipes::oci::TagPattern> tags;       // what the rules are for; the others are kept
  std::vector<pipes::oci::TagPattern> keep_tags;  // kept whatever else holds
  std::size_t keep = 0;                           // so many images, the newest; 0: the rule is not there
  bool by_version = false;                        // newest by version, not by age
  std::optional<std::chrono::milliseconds> keep_within;

  /// Whether it must be known when the images were made.
  bool need_age() const { return keep_within || (keep > 0 && !by_version); }
  /// Whether a tag's fate may depend on more than its name.
  bool judges(const std::string &tag) const;
};

struct Tag {
  std::string name;
  pipes::oci::Descriptor image;
  std::optional<std::int64_t> created{};  // seconds since 1970
  std::string kept_because{};             // empty: it goes
};

/// Sets `kept_because` of each. Tags of one image are one of the newest together. What has no date is kept
/// by every rule of age.
void decide(std::vector<Tag> &, const Rules &, std::int64_t now);

/// RFC 3339, as "created" of configs and annotations has it. nullopt also for dates before 1981: builders
/// that make the same bytes each time write such.
std::optional<std::int64_t> parse_created(std::string_view text);

/// "5 days", "3 h".
std::string age_text(std::int64_t seconds);

}  // namespace prune
