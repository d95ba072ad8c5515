#include "sdk/oci/registries_conf.hpp"

#include <gtest/gtest.h>
#include <pipe/error.hpp>

#include "oci_support.hpp"

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

TEST(RegistriesConf, TakesTheFirstPartOfALocationForAHost) {
  const auto conf = RegistriesConf::parse(R"(
[[registry]]
prefix = "example.com/app"
location = "mirror/x/"
[[registry]]
prefix = "example.org/app"
location = "b.lan"
)",
                                          "f");
  EXPECT_EQ(places(conf, "example.com/app:1"), Names{"mirror/x:1"});
  EXPECT_EQ(conf.to_push(Reference::parse("example.com/app/y:1")).reference.registry, "mirror");
  EXPECT_THROW(conf.to_push(Reference::parse("example.org/app:1")), sdk::Error);
  EXPECT_EQ(problem("[[registry]]\nlocation='https://a.io'\n"),
            "registries.conf:2:10: \"location\" is written without https://");
}

/// A machine of the test's own.
class RegistriesFiles : public ::testing::Test {
 protected:
  testing::TempDir folder;
  ConfigPlaces machine{.only = {},
                       .user = folder / "user",
                       .etc = folder / "etc",
                       .usr = folder / "usr",
                       .docker = {folder / "docker/user.json", folder / "docker/etc.json"}};

  void write(const char *name, std::string_view content) { testing::write_all(folder / name, content); }
  /// A file that sends a.io to `to`.
  static std::string sends(const std::string &to) {
    return "[[registry]]\nprefix = 'a.io'\nlocation = '" + to + "'\n";
  }
  std::string place(const char *name = "a.io/x:1") const {
    return places(RegistriesConf::read(machine), name).back();
  }
};

TEST_F(RegistriesFiles, AreReadWhereThereAreSome) {
  EXPECT_EQ(place(), "a.io/x:1");
  write("usr/registries.conf", sends("usr.lan"));
  EXPECT_EQ(place(), "usr.lan/x:1");
  write("etc/registries.conf", sends("etc.lan"));
  EXPECT_EQ(place(), "etc.lan/x:1");
  write("user/registries.conf", sends("user.lan"));
  EXPECT_EQ(place(), "user.lan/x:1");
}

TEST_F(RegistriesFiles, LetDropInsTakeThePlaceOfARegistry) {
  write("etc/registries.conf", sends("etc.lan") + "[[registry]]\nlocation = 'b.io'\nblocked = true\n");
  write("etc/registries.conf.d/10.conf", sends("ten.lan"));
  write("etc/registries.conf.d/09.conf", sends("nine.lan"));
  write("etc/registries.conf.d/99.ignored", sends("ignored.lan"));
  EXPECT_EQ(place(), "ten.lan/x:1");
  EXPECT_THROW(place("b.io/x:1"), sdk::Error);
  write("user/registries.conf.d/00.conf", sends("users.lan"));
  EXPECT_EQ(place(), "users.lan/x:1");
}

TEST_F(RegistriesFiles, OfTheUserStandInPlaceOfTheSystems) {
  write("etc/registries.conf.d/10.conf", sends("etc.lan"));
  write("user/registries.conf", "");
  EXPECT_EQ(place(), "a.io/x:1");
  write("user/registries.conf.d/10.conf", sends("users.lan"));
  EXPECT_EQ(place(), "users.lan/x:1");
}

TEST_F(RegistriesFiles, AreLeftAloneWhereOneIsNamed) {
  write("etc/registries.conf.d/10.conf", sends("etc.lan"));
  write("docker/etc.json", R"({"insecure-registries": ["a.io"]})");
  write("own.conf", "");
  machine.only = folder / "own.conf";
  EXPECT_EQ(place(), "a.io/x:1");
  machine.only = folder / "missing.conf";
  EXPECT_THROW(place(), sdk::Error);
}

TEST_F(RegistriesFiles, NameTheOneThatBlocks) {
  write("etc/registries.conf.d/b.conf", "[[registry]]\nlocation = 'b.io'\nblocked = true\n");
  EXPECT_EQ(testing::error_of([&] { place("b.io/x:1"); }).message,
            "b.io is blocked by " + (folder / "etc/registries.conf.d/b.conf").string());
}

TEST_F(RegistriesFiles, TakeMirrorsOfTheHubFromDocker) {
  write("docker/etc.json", R"({"registry-mirrors": ["https://m.lan:5000/", "http://plain.lan/hub"]})");
  EXPECT_EQ(places(RegistriesConf::read(machine), "registry:3"),
            (Names{"m.lan:5000/library/registry:3 mirror", "plain.lan/hub/library/registry:3 insecure mirror",
                   "docker.io/library/registry:3"}));
  EXPECT_EQ(place(), "a.io/x:1");
  write("etc/registries.conf", "[[registry]]\nlocation = 'docker.io'\n");
  EXPECT_EQ(places(RegistriesConf::read(machine), "registry:3"), Names{"docker.io/library/registry:3"});
}

TEST_F(RegistriesFiles, TakeInsecureRegistriesFromDocker) {
  write("docker/etc.json", R"({"insecure-registries": ["a.io", "10.1.0.0/16", "fd00::/8", "b.lan:5000"]})");
  const RegistriesConf conf = RegistriesConf::read(machine);
  for (const char *host : {"a.io", "10.1.2.3:5000", "10.1.2.3", "[fd12::1]:5000", "b.lan:5000"})
    EXPECT_TRUE(conf.is_insecure(host)) << host;
  for (const char *host : {"a.io:5000", "10.2.2.3:5000", "[fe80::1]", "b.lan", "10.1.lan"})
    EXPECT_FALSE(conf.is_insecure(host)) << host;
  EXPECT_EQ(place(), "a.io/x:1 insecure");
}

TEST_F(RegistriesFiles, OfDockerAreTheUsersOrElseTheSystems) {
  write("docker/etc.json", R"({"insecure-registries": ["a.io"]})");
  write("docker/user.json", "{}");
  EXPECT_EQ(place(), "a.io/x:1");
  write("docker/user.json", R"({"registry-mirrors": ["https://me:secret@m.lan"]})");
  const sdk::Error error = testing::error_of([&] { place(); });
  EXPECT_EQ(error.message, (folder / "docker/user.json").string() +
                               ": an entry of registry-mirrors is no URL without a login");
  write("docker/user.json", "{");
  EXPECT_THROW(place(), sdk::Error);
}

TEST_F(RegistriesFiles, SayWhatAShortNameMeansToPodman) {
  write("etc/registries.conf.d/shortnames.conf",
        "[aliases]\n\"fedora\" = \"r.fedora.org/fedora\"\n\"alpine\" = \"docker.io/library/alpine\"\n"
        "\"org/app\" = \"quay.io/org/app\"\n");
  const auto meaning = [&](std::string_view name) {
    return RegistriesConf::read(machine).other_meaning(name).value_or("");
  };
  const std::string file = " (" + (folder / "etc/registries.conf.d/shortnames.conf").string() + ")";
  EXPECT_EQ(meaning("fedora:40"), "r.fedora.org/fedora" + file);
  EXPECT_EQ(meaning("org/app@sha256:" + std::string(64, 'a')), "quay.io/org/app" + file);
  EXPECT_EQ(meaning("alpine"), "");
  EXPECT_EQ(meaning("debian"), "");
  write("user/registries.conf.d/mine.conf",
        "unqualified-search-registries = ['quay.io', 'docker.io']\n[aliases]\nfedora = ''\n");
  const std::string mine = " (" + (folder / "user/registries.conf.d/mine.conf").string() + ")";
  EXPECT_EQ(meaning("fedora:40"), "an image of quay.io, docker.io" + mine);
  EXPECT_EQ(meaning("localhost/fedora"), "");
  EXPECT_EQ(meaning("docker.io/library/fedora"), "");
  EXPECT_EQ(meaning("localhost:5000/app:1"), "");
}

TEST(Endpoint, MirrorsAreToldNothingThatIsMeantForTheRegistry) {
  RegistryOptions step;
  step.insecure = true;
  step.ca_file = "ca.pem";
  step.client_cert = step.client_key = "mine.pem";
  step.username = step.password = "mine";
  const RegistryOptions mirror = options_for({.reference = {}, .mirror = true}, step);
  EXPECT_EQ(mirror.ca_file, "ca.pem");
  EXPECT_EQ(mirror.client_cert + mirror.client_key, "");
  EXPECT_EQ(mirror.username + mirror.password, "");
  EXPECT_FALSE(mirror.insecure);
  EXPECT_EQ(options_for({.reference = {}}, step), step);
}

}  // namespace
}  // namespace pipes::oci
