#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>

#include "plugins/sync/selection.hpp"

namespace mirror {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Tags = std::vector<std::string>;

const std::string kDigest = "sha256:" + std::string(64, 'b');

std::vector<Repository> grouped(const std::vector<std::string> &entries, std::string_view from,
                                std::string_view to, const Filters &filters = {}) {
  std::vector<Rule> rules;
  for (const std::string &entry : entries) rules.push_back(Rule::parse(entry));
  return group(std::move(rules), filters, Place::parse(from), Place::parse(to));
}

TEST(Spread, PutsARuleOnceForEachRepositoryThatItMatches) {
  const std::vector<Rule> rules{Rule::parse("team/*:1"), Rule::parse("team/app:2"), Rule::parse("none*:3")};
  Tags seen;
  for (const Rule &rule : spread(rules, {"other/app", "team/app", "team/deep/app"}))
    seen.push_back(rule.repository + ":" + rule.tags.text());
  EXPECT_THAT(seen, ElementsAre("team/app:1", "team/deep/app:1", "team/app:2"));
}

/// "from -> to" of the images of one entry.
Tags routes(const std::string &entry, std::string_view from, std::string_view to, const Tags &tags = {}) {
  Tags routes;
  const std::vector<Repository> repositories = grouped({entry}, from, to);
  for (const Image &image : select(repositories, 0, tags))
    routes.push_back(image.from.str() + " -> " + image.to.str());
  return routes;
}

template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const pipes::sdk::Error &error) {
    return error.message;
  }
  return {};
}

TEST(Place, IsARegistryOrAPartOfOneOrAFolder) {
  EXPECT_EQ(Place::parse("registry.lan:5000").prefix, "");
  EXPECT_EQ(Place::parse("registry.lan:5000/a/b/").prefix, "a/b/");
  EXPECT_EQ(Place::parse("docker.io").prefix, "");
  EXPECT_EQ(Place::parse("oci:some/folder").folder, "some/folder");
  EXPECT_EQ(Place::parse("").kind, Place::Kind::anywhere);
  EXPECT_THAT(message_of([] { Place::parse("oci:folder:name"); }), HasSubstr("is no folder"));
  EXPECT_THAT(message_of([] { Place::parse("oci-archive:a.tar"); }), HasSubstr("holds one image"));
  EXPECT_THAT(message_of([] { Place::parse("Registry/UPPER"); }), HasSubstr("Registry/UPPER"));
}

TEST(Selection, KeepsThePathUnderTheSource) {
  EXPECT_THAT(routes("alpine:3", "docker.io", "r.lan:5000/mirror"),
              ElementsAre("docker.io/library/alpine:3 -> r.lan:5000/mirror/library/alpine:3"));
  EXPECT_THAT(routes("alpine:3", "docker.io/library", "r.lan:5000/mirror"),
              ElementsAre("docker.io/library/alpine:3 -> r.lan:5000/mirror/alpine:3"));
  EXPECT_THAT(routes("a/app", "s.lan/team", "r.lan:5000"),
              ElementsAre("s.lan/team/a/app:latest -> r.lan:5000/a/app:latest"));
}

TEST(Selection, TakesFullNamesWhereNoSourceIsGiven) {
  EXPECT_THAT(routes("ghcr.io/org/app:1", "", "r.lan:5000/mirror"),
              ElementsAre("ghcr.io/org/app:1 -> r.lan:5000/mirror/org/app:1"));
  EXPECT_THAT(routes("redis:7", "", "r.lan:5000"),
              ElementsAre("docker.io/library/redis:7 -> r.lan:5000/library/redis:7"));
}

TEST(Selection, Renames) {
  EXPECT_THAT(routes("redis:7 as=cache/redis", "docker.io", "r.lan:5000/m"),
              ElementsAre("docker.io/library/redis:7 -> r.lan:5000/m/cache/redis:7"));
}

TEST(Selection, PinsByDigest) {
  EXPECT_THAT(routes("app:1@" + kDigest, "s.lan", "r.lan"),
              ElementsAre("s.lan/app:1@" + kDigest + " -> r.lan/app:1"));
  EXPECT_THAT(routes("app@" + kDigest, "s.lan", "r.lan"),
              ElementsAre("s.lan/app@" + kDigest + " -> r.lan/app@" + kDigest));
}

TEST(Selection, KeepsTheWholeNameInAFolder) {
  EXPECT_THAT(routes("alpine:3", "docker.io", "oci:out"),
              ElementsAre("docker.io/library/alpine:3 -> docker.io/library/alpine:3"));
}

TEST(Selection, SelectsATagOnceWhateverRulesSelectIt) {
  const auto repositories = grouped({"app:1.*", "app:>=1.1", "app:1.2"}, "s.lan", "r.lan");
  ASSERT_THAT(repositories, SizeIs(1));
  EXPECT_THAT(select(repositories, 0, {"1.0", "1.1", "1.2", "2.0"}), SizeIs(4));
  EXPECT_TRUE(repositories[0].needs_tags());
  EXPECT_FALSE(grouped({"app:1.2", "app:1.3"}, "s.lan", "r.lan")[0].needs_tags());
}

TEST(Selection, FiltersHoldForPatternsWithoutTheirOwn) {
  const Filters filters{.exclude = {TagPattern::parse("*-rc*")}, .newest = 1};
  const auto repositories =
      grouped({"app:1.*", "app:2.* newest=2", "app:1.0-rc1"}, "s.lan", "r.lan", filters);
  Tags tags;
  for (const Image &image :
       select(repositories, 0, {"1.0-rc1", "1.0", "1.1", "2.0", "2.1", "2.2", "2.2-rc1"}))
    tags.push_back(image.to.tag);
  EXPECT_THAT(tags, ElementsAre("1.1", "2.2", "2.1", "1.0-rc1"));
  EXPECT_TRUE(repositories[0].governs("1.0"));
  EXPECT_FALSE(repositories[0].governs("3.0"));
}

TEST(Selection, TakesTagsThatBelongToAnImageAsTheyAreWhereTold) {
  const std::string signature = "sha256-" + std::string(64, 'a') + ".sig";
  auto repositories = grouped({"app:*", "app:1.0"}, "s.lan", "r.lan");
  EXPECT_TRUE(repositories[0].takes_all());
  EXPECT_THAT(select(repositories, 0, {"1.0", signature}), SizeIs(1));
  repositories[0].takes_attached = true;
  EXPECT_THAT(select(repositories, 0, {"1.0", signature}), SizeIs(2));
  for (const char *entry : {"app:1.*", "app:* newest=2", "app:* exclude=*-rc*", "app:1"})
    EXPECT_FALSE(grouped({entry}, "s.lan", "r.lan")[0].takes_all()) << entry;
}

TEST(Selection, RefusesTwoImagesOfOneName) {
  const auto repositories = grouped({"a:1 as=x", "b:1 as=x"}, "s.lan", "r.lan");
  std::vector<Image> images = select(repositories, 0, {});
  const std::vector<Image> more = select(repositories, 1, {});
  images.insert(images.end(), more.begin(), more.end());
  EXPECT_EQ(message_of([&] { check_targets(images); }), "s.lan/a:1 and s.lan/b:1 would both be r.lan/x:1");
}

}  // namespace
}  // namespace mirror
