#include "sdk/oci/auth.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace pipes::oci {
namespace {

TEST(ParseChallenges, KeepsTheCommasOfAScope) {
  const auto challenges = parse_challenges(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].get("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(challenges[0].get("service"), "registry.docker.io");
  EXPECT_EQ(challenges[0].get("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(challenges[0].get("error"), "");
}

TEST(ParseChallenges, ReadsSeveralInOneHeader) {
  const auto challenges =
      parse_challenges(R"(Basic realm="a \"b\", c", Bearer realm=x , service = "y",Negotiate)");
  ASSERT_EQ(challenges.size(), 3u);
  EXPECT_EQ(challenges[0].scheme, "basic");
  EXPECT_EQ(challenges[0].get("realm"), "a \"b\", c");
  EXPECT_EQ(challenges[1].scheme, "bearer");
  EXPECT_EQ(challenges[1].get("realm"), "x");
  EXPECT_EQ(challenges[1].get("service"), "y");
  EXPECT_EQ(challenges[2].scheme, "negotiate");
}

TEST(ParseChallenges, TakesNamesInAnyCaseAndTheFirstOfTwo) {
  const auto challenges = parse_challenges(R"(BEARER Realm="a",realm="b")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].get("realm"), "a");
}

TEST(ParseChallenges, EndsOnWhatMakesNoSense) {
  for (const char *header :
       {"", " ", ",,,", "=", "\"", "Bearer realm=\"unfinished", "Bearer =x", "Bearer realm=\"a\\", "= = ="})
    EXPECT_LE(parse_challenges(header).size(), 3u) << header;
  EXPECT_EQ(parse_challenges("Bearer realm=\"unfinished").at(0).get("realm"), "unfinished");
}

TEST(Access, IsWrittenAsScopes) {
  EXPECT_EQ((Access{.repository = "a/b"}).scopes(), std::vector<std::string>{"repository:a/b:pull"});
  EXPECT_EQ((Access{.repository = "a", .push = true, .also_pull = "c"}).scopes(),
            (std::vector<std::string>{"repository:a:pull,push", "repository:c:pull"}));
  EXPECT_TRUE(Access{}.scopes().empty());
}

bool may_send(const char *registry, const char *realm) {
  return may_send_credentials(http::Origin::of(registry), http::Origin::of(realm));
}

TEST(MaySendCredentials, ToTheRegistrysOwnTokenServer) {
  EXPECT_TRUE(may_send("https://registry-1.docker.io", "https://auth.docker.io/token"));
  EXPECT_TRUE(may_send("https://ghcr.io", "https://ghcr.io/token"));
  EXPECT_TRUE(may_send("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"));
  EXPECT_TRUE(may_send("https://registry.example.com:5000", "https://auth.example.com/token"));
  EXPECT_TRUE(may_send("https://git.example.com:5050", "https://git.example.com/jwt/auth"));
  EXPECT_TRUE(may_send("http://localhost:5000", "http://localhost:5001/token"));
  EXPECT_TRUE(may_send("http://localhost:5000", "http://127.0.0.1:5001/token"));
}

TEST(MaySendCredentials, ToNobodyElse) {
  EXPECT_FALSE(may_send("https://registry.example.com", "https://example.org/token"));
  EXPECT_FALSE(may_send("https://registry.example.com", "https://evilexample.com/token"));
  EXPECT_FALSE(may_send("https://registry.com", "https://evil.com/token"));
  EXPECT_FALSE(may_send("https://mine.co.uk", "https://evil.co.uk/token"));
  EXPECT_FALSE(may_send("https://10.0.0.1:5000", "https://11.0.0.1/token"));
  EXPECT_FALSE(may_send("https://registry.example.com", "http://registry.example.com/token"));
  EXPECT_FALSE(may_send("http://registry.lan:5000", "http://auth.lan/token"));
}

TEST(MaySendCredentials, WhereTheUserSaysSo) {
  ::setenv("PIPE_TOKEN_SERVERS", "other.org,login.example.net:8443", 1);
  EXPECT_TRUE(may_send("https://registry.example.com", "https://other.org/token"));
  EXPECT_TRUE(may_send("https://registry.example.com", "https://login.example.net:8443/token"));
  EXPECT_FALSE(may_send("https://registry.example.com", "https://login.example.net/token"));
  EXPECT_FALSE(may_send("https://registry.example.com", "http://other.org/token"));
  ::unsetenv("PIPE_TOKEN_SERVERS");
  EXPECT_FALSE(may_send("https://registry.example.com", "https://other.org/token"));
}

}  // namespace
}  // namespace pipes::oci
