#include <gtest/gtest.h>
#include <pipe/oci/digest.hpp>
#include <pipe/oci/tag_pattern.hpp>

#include <string>
#include <vector>

namespace pipes::oci {
namespace {

TEST(Glob, MatchesTheWhole) {
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(glob_matches("a*b", "a-b-c"));
  EXPECT_TRUE(glob_matches("??", "ab"));
  EXPECT_FALSE(glob_matches("??", "abc"));
  EXPECT_FALSE(glob_matches(std::string(30, '*') + "b", std::string(5000, 'a')));
}

TEST(TagPattern, LeavesWhatBelongsToAnImageAlone) {
  const std::string tag = "sha256-" + std::string(digest_of("x").hex());
  for (const char *pattern : {"*", "/./", "sha256-*"}) {
    EXPECT_FALSE(TagPattern::parse(pattern).matches(tag)) << pattern;
    EXPECT_FALSE(TagPattern::parse(pattern).matches(tag + ".sig")) << pattern;
  }
  EXPECT_TRUE(TagPattern::parse(tag).matches(tag));
}

TEST(TagPattern, SortsVersionsBeforeTheRest) {
  std::vector<std::string> tags{"edge", "1.9", "build-9", "1.10", "build-10", "1.10-rc1"};
  sort_newest_first(tags);
  EXPECT_EQ(tags, (std::vector<std::string>{"1.10", "1.10-rc1", "1.9", "edge", "build-10", "build-9"}));
}

}  // namespace
}  // namespace pipes::oci
