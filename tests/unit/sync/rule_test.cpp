#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>

#include "plugins/sync/rule.hpp"

namespace mirror {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Tags = std::vector<std::string>;

const std::string kHex(64, 'a');

Tags select(std::string_view entry, const Tags &all) {
  return Rule::parse(entry).select(all);
}

std::string refusal(std::string_view entry) {
  try {
    Rule::parse(entry);
  } catch (const pipes::sdk::Error &error) {
    return error.message;
  }
  return {};
}

TEST(Rule, IsLatestWhereNoTagIsNamed) {
  const Rule rule = Rule::parse("library/alpine");
  EXPECT_EQ(rule.repository, "library/alpine");
  EXPECT_TRUE(rule.tags.is_literal());
  EXPECT_THAT(rule.select({}), ElementsAre("latest"));
}

TEST(Rule, TakesAHostWithAPort) {
  const Rule rule = Rule::parse("localhost:5000/team/app:1.2");
  EXPECT_EQ(rule.repository, "localhost:5000/team/app");
  EXPECT_EQ(rule.tags.text(), "1.2");
  EXPECT_EQ(Rule::parse("localhost:5000/app").repository, "localhost:5000/app");
  EXPECT_EQ(Rule::parse("localhost:5000/app:/^1/").tags.text(), "/^1/");
  EXPECT_EQ(Rule::parse("app:/a/b/").tags.text(), "/a/b/");
  const Rule six = Rule::parse("[::1]:5000/team/app:1.*");
  EXPECT_EQ(six.repository, "[::1]:5000/team/app");
  EXPECT_EQ(six.tags.text(), "1.*");
  EXPECT_EQ(Rule::parse("[fd00::7]/app").repository, "[fd00::7]/app");
  EXPECT_EQ(Rule::parse("[::1:5000/app:1").repository, "[::1:5000/app:1");  // Reference says what is wrong
}

TEST(Rule, TakesAPatternForRepositories) {
  const Rule rule = Rule::parse("team/*:>=1 newest=2");
  EXPECT_TRUE(rule.is_about_many());
  EXPECT_FALSE(Rule::parse("team/app:1.*").is_about_many());
  const Rule one = rule.for_repository("team/app");
  EXPECT_EQ(one.repository, "team/app");
  EXPECT_EQ(one.newest, 2u);
  EXPECT_THAT(refusal("team/*:1 as=x"), HasSubstr("one repository"));
  EXPECT_THAT(refusal("team/*@sha256:" + kHex), HasSubstr("one repository"));
}

TEST(Rule, TakesADigest) {
  const Rule rule = Rule::parse("app:1@sha256:" + kHex);
  EXPECT_EQ(rule.repository, "app");
  EXPECT_EQ(rule.tags.text(), "1");
  EXPECT_EQ(rule.digest->hex(), kHex);
  EXPECT_EQ(Rule::parse("localhost:5000/app@sha256:" + kHex).repository, "localhost:5000/app");
}

TEST(Rule, SelectsByGlob) {
  EXPECT_THAT(select("a:3.*", {"3.1", "3.10", "4.0", "13.1", "3"}), ElementsAre("3.10", "3.1"));
  EXPECT_THAT(select("a:v?.1", {"v3.1", "v.1", "v10.1"}), ElementsAre("v3.1"));
  EXPECT_THAT(select("a:*-alpine*", {"3-alpine", "3", "3-alpine3.20"}),
              ::testing::UnorderedElementsAre("3-alpine", "3-alpine3.20"));
}

TEST(Rule, SelectsByRegularExpressionAnywhereInTheTag) {
  EXPECT_THAT(select("a:/^3\\.[0-9]+$/", {"3.1", "3.1.2", "13.1"}), ElementsAre("3.1"));
  EXPECT_THAT(select("a:/rc/", {"1-rc2", "2"}), ElementsAre("1-rc2"));
}

TEST(Rule, SelectsByRange) {
  EXPECT_THAT(select("a:>=6.2 <8", {"6.0", "6.2", "7.4.1", "8", "7-alpine", "latest"}),
              ElementsAre("7.4.1", "6.2"));
  EXPECT_THAT(select("a:>=6.2 <=8 || 9.1.0 newest=2", {"6.2", "7", "8", "9.1.0"}), ElementsAre("9.1.0", "8"));
  EXPECT_THAT(select("a:^1.2,!=1.3.0", {"1.2.0", "1.3.0"}), ElementsAre("1.2.0"));
  EXPECT_THAT(select("a:1.x", {"1.2.0", "2.3.0", "1.x"}), ElementsAre("1.2.0"));
}

TEST(Rule, ExcludesAndTakesTheNewest) {
  EXPECT_THAT(select("a:* exclude=*-rc* exclude=/^0/ newest=2", {"0.9", "1.0", "1.1", "1.2-rc1", "1.10"}),
              ElementsAre("1.10", "1.1"));
}

TEST(Rule, TakesTheNewestByVersionAndElseInNaturalOrder) {
  EXPECT_THAT(select("a:*", {"v2.0.0", "edge", "1.10", "1.9", "build-9", "build-10", "2.0.0-rc1"}),
              ElementsAre("v2.0.0", "2.0.0-rc1", "1.10", "1.9", "edge", "build-10", "build-9"));
}

TEST(Rule, LeavesToTheirImageWhatBelongsToOne) {
  const Tags all{"1", "sha256-" + kHex, "sha256-" + kHex + ".sig", "sha256-short"};
  EXPECT_THAT(select("a:*", all), ElementsAre("1", "sha256-short"));
  EXPECT_THAT(select("a:sha256-" + kHex + ".sig", all), ElementsAre("sha256-" + kHex + ".sig"));
}

TEST(Rule, GovernsWhatItWouldSelectIfItWereNewEnough) {
  const Rule rule = Rule::parse("a:3.* newest=1 exclude=*-rc*");
  EXPECT_TRUE(rule.governs("3.1"));
  EXPECT_FALSE(rule.governs("3.1-rc1"));
  EXPECT_FALSE(rule.governs("4.0"));
}

TEST(Rule, IsRenamed) {
  EXPECT_EQ(Rule::parse("library/redis:7 as=cache/redis").as, "cache/redis");
}

TEST(Rule, SaysWhatIsWrongWithWhichEntry) {
  EXPECT_THAT(refusal(""), HasSubstr("names no repository"));
  EXPECT_THAT(refusal("app:"), HasSubstr("no tag after"));
  EXPECT_THAT(refusal("app:/[/"), HasSubstr("no regular expression"));
  EXPECT_THAT(refusal("app:a b"), HasSubstr("what is \"b\""));
  EXPECT_THAT(refusal("app:a/b"), HasSubstr("neither a tag nor a pattern"));
  EXPECT_THAT(refusal("app:* newst=3"), HasSubstr("images: \"app:* newst=3\": there is no option \"newst\""));
  EXPECT_THAT(refusal("app:* newest=0"), HasSubstr("newest takes a number"));
  EXPECT_THAT(refusal("app newest=3"), HasSubstr("it names one tag"));
  EXPECT_THAT(refusal("app:*@sha256:" + kHex), HasSubstr("one tag"));
  EXPECT_THAT(refusal("app@sha256:abc"), HasSubstr("images: \"app@sha256:abc\""));
}

}  // namespace
}  // namespace mirror
