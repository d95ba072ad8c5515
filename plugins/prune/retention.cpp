#include "retention.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <map>
#include <set>

namespace prune {
namespace {

namespace oci = pipes::oci;

constexpr std::int64_t kFirstRealDate = 347155200;  // 1981-01-01; buildpacks write 1980-01-01T00:00:01Z

bool any_matches(const std::vector<oci::TagPattern> &patterns, const std::string &tag) {
  return std::ranges::any_of(patterns, [&](const oci::TagPattern &pattern) { return pattern.matches(tag); });
}

std::optional<int> number(std::string_view text, std::size_t at, std::size_t digits) {
  if (text.size() < at + digits) return std::nullopt;
  int value = 0;
  const char *const first = text.data() + at;
  const auto [end, error] = std::from_chars(first, first + digits, value);
  if (error != std::errc() || end != first + digits || value < 0) return std::nullopt;
  return value;
}

/// "Z", "+02:00": seconds east of UTC.
std::optional<std::int64_t> offset_of(std::string_view zone) {
  if (zone == "Z" || zone == "z") return 0;
  const auto hours = number(zone, 1, 2), minutes = number(zone, 4, 2);
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' || !hours || !minutes)
    return std::nullopt;
  return (zone[0] == '-' ? -1 : 1) * (*hours * 3600LL + *minutes * 60LL);
}

/// The images that are the newest, by digest.
std::set<oci::Digest> newest(const std::vector<Tag> &tags, const Rules &rules) {
  std::vector<std::pair<std::string, oci::Digest>> order;
  if (rules.by_version) {
    std::map<std::string, oci::Digest> digests;
    std::vector<std::string> names;
    for (const Tag &tag : tags) {
      if (!any_matches(rules.tags, tag.name)) continue;
      digests.emplace(tag.name, tag.image.digest);
      names.push_back(tag.name);
    }
    oci::sort_newest_first(names);
    for (const std::string &name : names) order.emplace_back(name, digests.at(name));
  } else {
    std::vector<const Tag *> dated;
    for (const Tag &tag : tags)
      if (tag.created && any_matches(rules.tags, tag.name)) dated.push_back(&tag);
    std::ranges::stable_sort(dated, [](const Tag *a, const Tag *b) { return *a->created > *b->created; });
    for (const Tag *tag : dated) order.emplace_back(tag->name, tag->image.digest);
  }
  std::set<oci::Digest> chosen;
  for (const auto &[name, digest] : order) {
    if (chosen.size() == rules.keep && !chosen.contains(digest)) break;
    chosen.insert(digest);
  }
  return chosen;
}

}  // namespace

bool Rules::judges(const std::string &tag) const {
  return any_matches(tags, tag) && !any_matches(keep_tags, tag);
}

void decide(std::vector<Tag> &tags, const Rules &rules, std::int64_t now) {
  const std::set<oci::Digest> chosen = rules.keep > 0 ? newest(tags, rules) : std::set<oci::Digest>();
  for (Tag &tag : tags) {
    const std::int64_t age = tag.created ? now - *tag.created : 0;
    if (!any_matches(rules.tags, tag.name)) {
      tag.kept_because = "the rules are not for it";
    } else if (any_matches(rules.keep_tags, tag.name)) {
      tag.kept_because = "keep_tags names it";
    } else if (chosen.contains(tag.image.digest)) {
      tag.kept_because = fmt::format("one of the {} newest", rules.keep);
    } else if (!tag.created && rules.need_age()) {
      tag.kept_because = "nothing says when it was made";
    } else if (rules.keep_within && age * 1000 <= rules.keep_within->count()) {
      tag.kept_because = fmt::format("{} old", age_text(age));
    }
  }
}

std::optional<std::int64_t> parse_created(std::string_view text) {
  const auto year = number(text, 0, 4), month = number(text, 5, 2), day = number(text, 8, 2);
  const auto hour = number(text, 11, 2), minute = number(text, 14, 2), second = number(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
      text[13] != ':' || text[16] != ':')
    return std::nullopt;
  if (*month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  std::string_view zone = text.substr(19);
  if (zone.starts_with('.'))
    zone.remove_prefix(std::min(zone.find_first_not_of("0123456789", 1), zone.size()));
  const auto offset = offset_of(zone);
  if (!offset) return std::nullopt;
  std::tm parts{};
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  parts.tm_sec = *second;
  const std::int64_t time = timegm(&parts) - *offset;
  if (time < kFirstRealDate) return std::nullopt;
  return time;
}

std::string age_text(std::int64_t seconds) {
  struct Unit {
    std::int64_t size;
    const char *name;
  };
  for (const Unit &unit : {Unit{86400, "days"}, Unit{3600, "h"}, Unit{60, "min"}})
    if (seconds >= 2 * unit.size) return fmt::format("{} {}", seconds / unit.size, unit.name);
  return fmt::format("{} s", std::max<std::int64_t>(seconds, 0));
}

}  // namespace prune
