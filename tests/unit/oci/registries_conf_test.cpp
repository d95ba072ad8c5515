#include "sdk/oci/registries_conf.hpp"

#include <gtest/gtest.h>
#include <pipe/error.hpp>

namespace pipes::oci {
namespace {

std::vector<std::string> places(const RegistriesConf &conf, const char *name) {
  std::vector<std::string> names;
  for (const Endpoint &endpoint : conf.to_pull(Reference::parse(name)))
    names.push_back(endpoint.reference.str() + (endpoint.insecure ? " insecure" : "") +
                    (endpoint.mirror ? " mirror" : ""));
  return names;
}
using Names = std::vector<std::string>;

std::string problem(const char *toml) {
  try {
    RegistriesConf::parse(toml, "registries.conf");
    return "none";
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_INVALID);
    return error.message;
  }
}

TEST(RegistriesConf, LeavesOthersAlone) {
  EXPECT_EQ(places({}, "registry:3"), Names{"docker.io/library/registry:3"});
}

TEST(RegistriesConf, AsksMirrorsFirst) {
  const auto conf = RegistriesConf::parse(R"(
unqualified-search-registries = ["quay.io"]
short-name-mode = "enforcing"
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "localhost:5000/hub"
insecure = true
[[registry.mirror]]
location = "mirror.lan"
pull-from-mirror = "digest-only"
)",
                                          "f");
  EXPECT_EQ(places(conf, "registry:3"),
            (Names{"localhost:5000/hub/library/registry:3 insecure mirror", "docker.io/library/registry:3"}));
  const std::string digest = "@sha256:" + std::string(64, 'a');
  EXPECT_EQ(
      places(conf, ("registry" + digest).c_str()),
      (Names{"localhost:5000/hub/library/registry" + digest + " insecure mirror",
             "mirror.lan/library/registry" + digest + " mirror", "docker.io/library/registry" + digest}));
  EXPECT_EQ(places(conf, "quay.io/a:1"), Names{"quay.io/a:1"});
  EXPECT_EQ(conf.to_push(Reference::parse("registry:3")).reference.str(), "docker.io/library/registry:3");
}

TEST(RegistriesConf, RewritesByTheLongestPrefixThatEndsWithAPart) {
  const auto conf = RegistriesConf::parse(R"(
[[registry]]
prefix = "example.com"
location = "a.lan"
[[registry]]
prefix = "example.com/team"
location = "b.lan/x"
insecure = true
[[registry]]
prefix = "*.example.org"
location = "c.lan"
)",
                                          "f");
  EXPECT_EQ(places(conf, "example.com/app:1"), Names{"a.lan/app:1"});
  EXPECT_EQ(places(conf, "example.com/team/app:1"), Names{"b.lan/x/app:1 insecure"});
  EXPECT_EQ(places(conf, "example.com/teamwork:1"), Names{"a.lan/teamwork:1"});
  EXPECT_EQ(places(conf, "example.com:5000/app:1"), Names{"example.com:5000/app:1"});
  EXPECT_EQ(places(conf, "r.example.org/app:1"), Names{"c.lan/app:1"});
  EXPECT_EQ(places(conf, "example.org/app:1"), Names{"example.org/app:1"});
  EXPECT_TRUE(conf.to_push(Reference::parse("example.com/team/app:1")).insecure);
}

TEST(RegistriesConf, KeepsMirrorsForDigestsWhereItSaysSo) {
  const auto conf = RegistriesConf::parse(
      "[[registry]]\nlocation='r.io'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.lan'\n",
      "f");
  EXPECT_EQ(places(conf, "r.io/a:1"), Names{"r.io/a:1"});
}

TEST(RegistriesConf, RefusesWhatIsBlocked) {
  const auto conf = RegistriesConf::parse("[[registry]]\nlocation='bad.io'\nblocked=true\n", "f.conf");
  try {
    conf.to_pull(Reference::parse("bad.io/app:1"));
    FAIL();
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_DENIED);
    EXPECT_EQ(error.message, "bad.io is blocked by f.conf");
  }
  EXPECT_THROW(conf.to_push(Reference::parse("bad.io/app:1")), sdk::Error);
}

TEST(RegistriesConf, NamesFileAndLineOfWhatItCannotRead) {
  EXPECT_EQ(problem("[[registry]]\nlocation = 5\n"), "registries.conf:2:12: \"location\" has the wrong type");
  EXPECT_EQ(problem("[[registry]]\nlocation = 'a'\ninsecure = 'yes'\n"),
            "registries.conf:3:12: \"insecure\" has the wrong type");
  EXPECT_EQ(problem("[registry]\nlocation = 'a'\n"),
            "registries.conf:1:1: \"registry\" has to be written as [[registry]]");
  EXPECT_EQ(problem("[[registry]]\n"), "registries.conf:1:1: a [[registry]] needs a prefix or a location");
  EXPECT_EQ(problem("[registries.search]\nregistries = ['a']\n"),
            "registries.conf:1:1: [registries.…] is version 1 of this format; write [[registry]] instead");
  EXPECT_NE(problem("[[registry"), "none");
}

}  // namespace
}  // namespace pipes::oci
