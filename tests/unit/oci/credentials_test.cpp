#include "sdk/oci/credentials.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <pipe/oci/base64.hpp>
#include <pipe/oci/engine_login.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/quiet.hpp"

namespace pipes::oci {
namespace {

/// A home and a PATH of its own, so that nothing of this machine's logins is seen.
class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "pipe-credentials-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    for (const char *name : {"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "XDG_CONFIG_HOME"})
      ::unsetenv(name);
    ::setenv("HOME", (folder / "home").c_str(), 1);
    ::setenv("XDG_RUNTIME_DIR", (folder / "run").c_str(), 1);
    ::setenv("PATH", (folder.string() + ":/usr/bin:/bin").c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  void write(const std::string &name, const std::string &text) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
  }
  void helper(const std::string &name, const std::string &script) {
    write("docker-credential-" + name, "#!/bin/sh\n" + script);
    ::chmod((folder / ("docker-credential-" + name)).c_str(), 0755);
  }
  Credentials in(const std::string &json, const std::string &registry,
                 const std::string &repository = "app") {
    return find_in_config(json, "config.json", registry, repository, observer);
  }
  Credentials found(const std::string &registry, const std::string &repository = "app") {
    return find_credentials(registry, repository, observer);
  }

  std::filesystem::path folder;
  sdk::testing::Quiet observer;
};

std::string auths(const std::string &key, const std::string &login) {
  return R"({"auths":{")" + key + R"(":{"auth":")" + encode_base64(login) + R"("}}})";
}

TEST_F(CredentialsTest, SplitsAtTheFirstColon) {
  const Credentials login = in(auths("localhost:5000", "me:pass:word"), "localhost:5000");
  EXPECT_EQ(login.username, "me");
  EXPECT_EQ(login.password, "pass:word");
  EXPECT_EQ(login.source, "config.json");
}

TEST_F(CredentialsTest, KnowsTheKeyOfDockerHub) {
  EXPECT_EQ(in(auths("https://index.docker.io/v1/", "hub:pw"), "docker.io").username, "hub");
  EXPECT_EQ(in(auths("docker.io", "hub:pw"), "docker.io").username, "hub");
  EXPECT_TRUE(in(auths("https://index.docker.io/v1/", "hub:pw"), "ghcr.io").empty());
}

TEST_F(CredentialsTest, ReadsTheUrlsOfOldFiles) {
  for (const char *key : {"https://registry.lan:5000", "https://registry.lan:5000/v2/",
                          "http://registry.lan:5000/v1/", "registry.lan:5000/v2/"})
    EXPECT_EQ(in(auths(key, "me:pw"), "registry.lan:5000").username, "me") << key;
}

TEST_F(CredentialsTest, NeverGivesWhatBelongsToAnotherHost) {
  for (const char *key : {"registry.lan", "registry.lan:5001", "xregistry.lan:5000",
                          "https://registry.lan/registry.lan:5000", "registry.lan:5000.evil"})
    EXPECT_TRUE(in(auths(key, "me:pw"), "registry.lan:5000").empty()) << key;
}

TEST_F(CredentialsTest, PrefersTheLongestRepositoryOfPodmansFiles) {
  const std::string json = R"({"auths":{"quay.io":{"auth":")" + encode_base64("host:1") +
                           R"("},"quay.io/org":{"auth":")" + encode_base64("org:2") +
                           R"("},"quay.io/org/app":{"auth":")" + encode_base64("app:3") + R"("}}})";
  EXPECT_EQ(in(json, "quay.io", "org/app").username, "app");
  EXPECT_EQ(in(json, "quay.io", "org/other").username, "org");
  EXPECT_EQ(in(json, "quay.io", "organic/app").username, "host");
}

TEST_F(CredentialsTest, TakesAnIdentityToken) {
  const Credentials login = in(R"({"auths":{"r.io":{"auth":"bWU6","identitytoken":"refresh"}}})", "r.io");
  EXPECT_EQ(login.identity_token, "refresh");
}

TEST_F(CredentialsTest, SaysWhatIsWrongWithAFile) {
  EXPECT_EQ(in("{", "r.io").problem, "config.json is not a JSON object");
  EXPECT_EQ(in(R"({"auths":{"r.io":{"auth":"%%%"}}})", "r.io").problem,
            "an \"auth\" in config.json is not the base64 of user:password");
  const Credentials none = in(R"({"auths":{"r.io":{}}})", "r.io");
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.problem, "");
}

TEST_F(CredentialsTest, AsksTheHelperOfTheHostBeforeTheStoreBeforeTheFile) {
  helper("host",
         R"(read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"from-host\",\"Secret\":\"s\"}")");
  helper("store", R"(echo '{"Username":"from-store","Secret":"s"}')");
  const std::string json =
      R"({"credHelpers":{"a.io":"host"},"credsStore":"store","auths":{"b.io":{"auth":"Zjpw"}}})";
  EXPECT_EQ(in(json, "a.io").username, "from-host");
  EXPECT_EQ(in(json, "a.io").source, "docker-credential-host (credHelpers in config.json)");
  EXPECT_EQ(in(json, "b.io").username, "from-store");
}

TEST_F(CredentialsTest, GivesTheHelperTheKeyOfDockerHub) {
  helper("echo", R"(read -r server || true; echo "{\"Username\":\"$server\",\"Secret\":\"s\"}")");
  EXPECT_EQ(in(R"({"credsStore":"echo"})", "docker.io").username, "https://index.docker.io/v1/");
  EXPECT_EQ(in(R"({"credsStore":"echo"})", "localhost:5000").username, "localhost:5000");
}

TEST_F(CredentialsTest, ReadsAnIdentityTokenFromAHelper) {
  helper("token", R"(echo '{"Username":"<token>","Secret":"refresh"}')");
  const Credentials login = in(R"({"credsStore":"token"})", "r.io");
  EXPECT_EQ(login.identity_token, "refresh");
  EXPECT_EQ(login.username, "");
}

TEST_F(CredentialsTest, GoesOnToTheFileWhereAHelperHasNothing) {
  helper("empty", "echo 'credentials not found in native keychain'; exit 1");
  const Credentials login = in(R"({"credsStore":"empty","auths":{"r.io":{"auth":"bWU6cHc="}}})", "r.io");
  EXPECT_EQ(login.username, "me");
  EXPECT_EQ(in(R"({"credsStore":"empty"})", "r.io").problem, "");
}

TEST_F(CredentialsTest, NamesAHelperThatIsNotInstalledAndTheFileThatWantsIt) {
  EXPECT_EQ(in(R"({"credsStore":"desktop"})", "r.io").problem,
            "can't run docker-credential-desktop: No such file or directory (credsStore in config.json)");
}

TEST_F(CredentialsTest, SaysWhatAHelperSaidWhenItFailed) {
  helper("sad", "echo 'the keyring is locked'; exit 1");
  EXPECT_EQ(in(R"({"credsStore":"sad"})", "r.io").problem,
            "docker-credential-sad failed: the keyring is locked (credsStore in config.json)");
  helper("aside", "printf 'no keyring\\nnot at all\\n' >&2; exit 1");
  EXPECT_EQ(in(R"({"credsStore":"aside"})", "r.io").problem,
            "docker-credential-aside failed: no keyring (credsStore in config.json)");
  helper("mute", "exit 1");
  EXPECT_EQ(in(R"({"credsStore":"mute"})", "r.io").problem,
            "docker-credential-mute failed: it does not say why (credsStore in config.json)");
}

TEST_F(CredentialsTest, RunsNoHelperFromAPathInAFile) {
  EXPECT_EQ(in(R"({"credsStore":"../../evil"})", "r.io").problem,
            "\"../../evil\" is no name of a credential helper (credsStore in config.json)");
}

TEST_F(CredentialsTest, LooksIntoTheFilesInOrder) {
  write("home/.config/containers/auth.json", auths("r.io", "config:pw"));
  EXPECT_EQ(found("r.io").username, "config");
  write("run/containers/auth.json", auths("r.io", "runtime:pw"));
  EXPECT_EQ(found("r.io").username, "runtime");
  write("home/.docker/config.json", auths("r.io", "docker:pw"));
  EXPECT_EQ(found("r.io").username, "docker");
  write("elsewhere/config.json", auths("r.io", "elsewhere:pw"));
  ::setenv("DOCKER_CONFIG", (folder / "elsewhere").c_str(), 1);
  EXPECT_EQ(found("r.io").username, "elsewhere");
  ::setenv("DOCKER_AUTH_CONFIG", auths("r.io", "variable:pw").c_str(), 1);
  EXPECT_EQ(found("r.io").username, "variable");
  write("named.json", auths("r.io", "named:pw"));
  ::setenv("REGISTRY_AUTH_FILE", (folder / "named.json").c_str(), 1);
  EXPECT_EQ(found("r.io").username, "named");
  EXPECT_TRUE(found("other.io").empty());
}

TEST(Base64, GoesThereAndBack) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "\xff\xfe\x00z"})
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  EXPECT_EQ(encode_base64("me:pw"), "bWU6cHc=");
  EXPECT_EQ(decode_base64("bWU6cHc"), "me:pw");
  EXPECT_EQ(decode_base64("a"), std::nullopt);
  EXPECT_EQ(decode_base64("bW*6"), std::nullopt);
}

/// The login as a container engine takes it, read back.
class EngineLogin : public CredentialsTest {
 protected:
  std::string text(const std::string &registry) { return engine_login(registry, "app", {}, observer); }
  std::string read_back(std::string text) {
    std::ranges::replace(text, '-', '+');
    std::ranges::replace(text, '_', '/');
    return decode_base64(text).value_or("no base64");
  }
};

TEST_F(EngineLogin, IsWrittenInTheAlphabetOfUrlsAndPadded) {
  int with_it = 0;
  for (const std::string user : {"m", "me", "mee"}) {  // the password begins at another bit each time
    write("home/.docker/config.json", auths("localhost:5000", user + ":~~~~????"));
    const std::string login = text("localhost:5000");
    EXPECT_EQ(login.find_first_of("+/"), std::string::npos) << login;
    EXPECT_EQ(login.size() % 4, 0U) << login;
    with_it += login.find_first_of("-_") != std::string::npos ? 1 : 0;
    EXPECT_EQ(read_back(login),
              R"({"password":"~~~~????","serveraddress":"localhost:5000","username":")" + user + R"("})");
  }
  EXPECT_GT(with_it, 0);
}

TEST_F(EngineLogin, NamesDockerHubAsDockerDoes) {
  write("home/.docker/config.json", auths("https://index.docker.io/v1/", "hub:pw"));
  EXPECT_EQ(read_back(text("docker.io")),
            R"({"password":"pw","serveraddress":"https://index.docker.io/v1/","username":"hub"})");
}

TEST_F(EngineLogin, GivesAnIdentityTokenInPlaceOfAPassword) {
  write("home/.docker/config.json",
        R"({"auths":{"r.lan":{"auth":")" + encode_base64("00000000-0000:") + R"(","identitytoken":"it"}}})");
  EXPECT_EQ(read_back(text("r.lan")), R"({"identitytoken":"it","serveraddress":"r.lan"})");
}

TEST_F(EngineLogin, IsAnEmptyObjectWithoutALogin) {
  EXPECT_EQ(text("localhost:5000"), "e30=");
}

TEST_F(EngineLogin, RefusesWhatCannotBeSaidInJson) {
  write("home/.docker/config.json", auths("localhost:5000", "me:\xff"));
  try {
    text("localhost:5000");
    FAIL();
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_INVALID);
    EXPECT_EQ(error.message, "the login for localhost:5000 is no UTF-8, which the engine's API speaks");
  }
}

}  // namespace
}  // namespace pipes::oci
