#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>

#include "sdk/oci/semver.hpp"

namespace pipes::oci::semver {
namespace {

using ::testing::HasSubstr;

Version version(std::string_view text) {
  const std::optional<Version> parsed = Version::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(Version{});
}

bool has(std::string_view range, std::string_view tag) {
  return Range::parse(range).contains(version(tag));
}

std::string refusal(std::string_view range) {
  try {
    Range::parse(range);
  } catch (const pipes::sdk::Error &error) {
    return error.message;
  }
  return {};
}

TEST(Version, IsReadAsTagsHaveIt) {
  EXPECT_EQ(version("1.2.3").numbers, (std::array<std::uint64_t, 3>{1, 2, 3}));
  EXPECT_EQ(version("v1.2"), version("1.2.0"));
  EXPECT_EQ(version("3"), version("3.0.0"));
  EXPECT_EQ(version("22.04").numbers[1], 4U);
  EXPECT_EQ(version("1.2.3-rc.1").pre_release, (std::vector<std::string>{"rc", "1"}));
  EXPECT_EQ(version("1.2.3_build.5"), version("1.2.3"));
  EXPECT_EQ(version("1.2.3+build.5"), version("1.2.3"));
}

TEST(Version, IsNotWhatHasOtherShape) {
  for (const char *tag : {"", "latest", "v", "1.2.3.4", "1..2", "1.", ".1", "1.2.3-", "1.2.3-a.",
                          "1.2.3-a..b", "1.2a", "1.2.3-ä", "9999999999999999999", "-1", "1.-1"})
    EXPECT_FALSE(Version::parse(tag)) << tag;
}

TEST(Version, HasThePrecedenceOfTheSpec) {
  const char *rising[] = {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
                          "1.0.0-beta",  "1.0.0-beta.2",  "1.0.0-beta.11",
                          "1.0.0-rc.1",  "1.0.0",         "1.0.1",
                          "1.2",         "1.10",          "2"};
  for (std::size_t i = 0; i + 1 < std::size(rising); ++i)
    EXPECT_LT(version(rising[i]), version(rising[i + 1])) << rising[i];
}

TEST(Range, ComparesAndJoins) {
  EXPECT_TRUE(has(">=1.2 <2.0", "1.2.0"));
  EXPECT_TRUE(has(">=1.2, <2.0", "1.99"));
  EXPECT_TRUE(has(">= 1.2 < 2.0", "v1.3"));
  EXPECT_FALSE(has(">=1.2 <2.0", "2"));
  EXPECT_FALSE(has(">=1.2 <2.0", "1.1.9"));
  EXPECT_TRUE(has("^1.2 || ^3", "3.4.5"));
  EXPECT_FALSE(has("^1.2 || ^3", "2.0.0"));
}

TEST(Range, OfAPartMeansAllThatBeginWithIt) {
  EXPECT_TRUE(has("1.2", "1.2.9"));
  EXPECT_FALSE(has("1.2", "1.3"));
  EXPECT_TRUE(has("=1.2.3", "1.2.3"));
  EXPECT_FALSE(has("=1.2.3", "1.2.4"));
  EXPECT_TRUE(has("<=1.2", "1.2.9"));
  EXPECT_FALSE(has(">1.2", "1.2.9"));
  EXPECT_TRUE(has(">1.2", "1.3"));
  EXPECT_FALSE(has("!=1.2", "1.2.9"));
  EXPECT_TRUE(has("^1 !=1.2.3", "1.2.4"));
  EXPECT_FALSE(has("^1 !=1.2.3", "1.2.3"));
}

TEST(Range, CaretKeepsTheFirstNumberThatIsNotZero) {
  EXPECT_TRUE(has("^1.2.3", "1.9"));
  EXPECT_FALSE(has("^1.2.3", "1.2.2"));
  EXPECT_FALSE(has("^1.2.3", "2.0.0"));
  EXPECT_TRUE(has("^0.2.3", "0.2.9"));
  EXPECT_FALSE(has("^0.2.3", "0.3.0"));
  EXPECT_FALSE(has("^0.0.3", "0.0.4"));
  EXPECT_TRUE(has("^0.0", "0.0.4"));
  EXPECT_FALSE(has("^0.0", "0.1"));
  EXPECT_TRUE(has("^v1.2", "v1.3"));
}

TEST(Range, TildeKeepsTheMinorNumber) {
  EXPECT_TRUE(has("~1.2.3", "1.2.9"));
  EXPECT_FALSE(has("~1.2.3", "1.3"));
  EXPECT_TRUE(has("~1", "1.9"));
  EXPECT_TRUE(has("~>1.2", "1.2.5"));
}

TEST(Range, XIsAnyNumber) {
  EXPECT_TRUE(has("1.x", "1.9.9"));
  EXPECT_FALSE(has("1.x", "2.0.0"));
  EXPECT_TRUE(has("1.2.*", "1.2.7"));
  EXPECT_FALSE(has("1.2.X", "1.3.0"));
  EXPECT_TRUE(has("*", "0.0.1"));
  EXPECT_TRUE(has(">=1.x", "3.0.0"));
}

TEST(Range, LeavesPreReleasesOutUnlessItNamesOne) {
  EXPECT_FALSE(has("^1.2", "1.3.0-rc.1"));
  EXPECT_FALSE(has("*", "7.2-alpine"));
  EXPECT_TRUE(has(">=1.2.0-0 <2", "1.3.0-rc.1"));
  EXPECT_TRUE(has("^1.3.0-rc.1", "1.3.0-rc.2"));
  EXPECT_FALSE(has("^1.3.0-rc.1", "1.3.0-beta"));
  EXPECT_FALSE(has("^1.3.0-rc.1", "2.0.0-rc.1"));
  EXPECT_FALSE(has("^1.3.0-rc.1 || ^3", "3.1.0-rc.1"));
}

TEST(Range, SaysWhatIsWrongWithIt) {
  EXPECT_THAT(refusal("^"), HasSubstr("\"\" is no version"));
  EXPECT_THAT(refusal("^latest"), HasSubstr("\"latest\" is no version"));
  EXPECT_THAT(refusal("^1 ||"), HasSubstr("a version is missing"));
  EXPECT_THAT(refusal("><1"), HasSubstr("\"><\" is no comparison"));
  EXPECT_THAT(refusal("1.x.2.3.4 <"), HasSubstr("is no version"));
}

}  // namespace
}  // namespace pipes::oci::semver
