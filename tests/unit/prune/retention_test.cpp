#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/prune/retention.hpp"

namespace prune {
namespace {

using pipes::oci::TagPattern;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kNow = 2'000'000'000;
constexpr std::int64_t kDay = 86400;

Tag tag(const std::string &name, std::optional<std::int64_t> days_old, const std::string &image = {}) {
  Tag made{.name = name, .image = {}};
  made.image.digest = pipes::oci::digest_of(image.empty() ? name : image);
  if (days_old) made.created = kNow - *days_old * kDay;
  return made;
}

Rules rules() {
  Rules all;
  all.tags = {TagPattern::parse("*")};
  return all;
}

std::vector<std::string> going(std::vector<Tag> tags, const Rules &by) {
  decide(tags, by, kNow);
  std::vector<std::string> names;
  for (const Tag &one : tags)
    if (one.kept_because.empty()) names.push_back(one.name);
  return names;
}

TEST(Retention, KeepsTheNewestByAge) {
  Rules by = rules();
  by.keep = 2;
  EXPECT_THAT(going({tag("9", 5), tag("a", 1), tag("b", 3), tag("10", 4)}, by), ElementsAre("9", "10"));
}

TEST(Retention, CountsTagsOfOneImageOnce) {
  Rules by = rules();
  by.keep = 2;
  EXPECT_THAT(going({tag("1.2", 1, "x"), tag("latest", 1, "x"), tag("1.1", 2), tag("1.0", 3)}, by),
              ElementsAre("1.0"));
}

TEST(Retention, KeepsTheHighestVersions) {
  Rules by = rules();
  by.keep = 2;
  by.by_version = true;
  EXPECT_FALSE(by.need_age());
  EXPECT_THAT(going({tag("1.9", {}), tag("1.10", {}), tag("1.2", {}), tag("edge", {})}, by),
              ElementsAre("1.2", "edge"));
}

TEST(Retention, KeepsWhatIsYoungAndWhatHasNoDate) {
  Rules by = rules();
  by.keep_within = std::chrono::hours(24 * 7);
  EXPECT_THAT(going({tag("young", 7), tag("old", 8), tag("undated", {})}, by), ElementsAre("old"));
}

TEST(Retention, KeepsWhatIsNamedAndWhatTheRulesAreNotFor) {
  Rules by = rules();
  by.tags = {TagPattern::parse("pr-*")};
  by.keep_tags = {TagPattern::parse("pr-7")};
  by.keep = 1;
  EXPECT_THAT(going({tag("pr-7", 9), tag("pr-8", 3), tag("pr-9", 2), tag("latest", 50)}, by),
              ElementsAre("pr-8"));
  EXPECT_FALSE(by.judges("latest"));
  EXPECT_FALSE(by.judges("pr-7"));
  EXPECT_TRUE(by.judges("pr-8"));
}

TEST(Retention, KeepsWhatAnyRuleKeeps) {
  Rules by = rules();
  by.keep = 1;
  by.keep_within = std::chrono::hours(48);
  by.keep_tags = {TagPattern::parse(">=2.0 <3")};
  EXPECT_THAT(going({tag("1.0", 1), tag("1.1", 2), tag("2.0", 90), tag("3.0", 80)}, by), ElementsAre("3.0"));
}

TEST(Retention, SaysWhy) {
  Rules by = rules();
  by.keep = 1;
  by.keep_within = std::chrono::hours(72);
  std::vector<Tag> tags{tag("a", 1), tag("b", 3), tag("c", {})};
  decide(tags, by, kNow);
  EXPECT_EQ(tags[0].kept_because, "one of the 1 newest");
  EXPECT_EQ(tags[1].kept_because, "3 days old");
  EXPECT_THAT(tags[2].kept_because, HasSubstr("nothing says when"));
}

TEST(Created, ReadsWhatBuildersWrite) {
  EXPECT_EQ(parse_created("2001-09-09T01:46:40Z"), 1'000'000'000);
  EXPECT_EQ(parse_created("2001-09-09T03:46:40.123456789+02:00"), 1'000'000'000);
  EXPECT_EQ(parse_created("2001-09-08T20:16:40-05:30"), 1'000'000'000);
}

TEST(Created, TakesNoDateThatSaysNothing) {
  for (const char *text :
       {"", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1980-01-01T00:00:01Z", "yesterday", "2001-09-09",
        "2001-13-09T01:46:40Z", "2001-09-09T01:46:40", "2001-09-09T01:46:4xZ"})
    EXPECT_EQ(parse_created(text), std::nullopt) << text;
}

}  // namespace
}  // namespace prune
