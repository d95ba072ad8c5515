#include <pipe/oci/registry.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "oci_support.hpp"
#include "tests/unit/http/loopback_server.hpp"

namespace pipes::oci {
namespace {

using http::testing::LoopbackServer;
using http::testing::Seen;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::Quiet;

std::string answer(const std::string &status, const std::string &headers, const std::string &body) {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Answers each path by what stands beside it, others by 404.
LoopbackServer::Answer by_path(std::map<std::string, std::string> answers) {
  return [answers = std::move(answers)](const Seen &request) {
    const std::size_t begin = request.head.find(' ') + 1;
    const auto found = answers.find(request.head.substr(begin, request.head.find(' ', begin) - begin));
    if (found != answers.end()) return found->second;
    return answer("404 Not Found", "", R"({"errors":[{"code":"UNSUPPORTED","message":"no such thing"}]})");
  };
}

class RegistryLists : public ::testing::Test {
 protected:
  std::vector<std::string> repositories(LoopbackServer::Answer answer) {
    LoopbackServer server(std::move(answer));
    Registry registry("127.0.0.1:" + std::to_string(server.port()), {}, observer_);
    return registry.repositories();
  }
  Quiet observer_;
};

TEST_F(RegistryLists, GathersTheRepositoriesOfAllPages) {
  EXPECT_THAT(
      repositories(by_path({
          {"/v2/_catalog?n=1000", answer("200 OK", "Link: </v2/_catalog?last=b%2Fc&n=1000>; rel=\"next\"\r\n",
                                         R"({"repositories":["b/c","a"]})")},
          {"/v2/_catalog?last=b%2Fc&n=1000", answer("200 OK", "", R"({"repositories":["d","a"]})")},
      })),
      ElementsAre("a", "b/c", "d"));
}

TEST_F(RegistryLists, TakesNullForNone) {
  EXPECT_TRUE(
      repositories(by_path({{"/v2/_catalog?n=1000", answer("200 OK", "", R"({"repositories":null})")}}))
          .empty());
}

TEST_F(RegistryLists, LeavesOutWhatIsNoNameOfARepository) {
  EXPECT_THAT(repositories(by_path(
                  {{"/v2/_catalog?n=1000",
                    answer("200 OK", "", R"({"repositories":["../../etc","a:1","A","a?b","fine",7]})")}})),
              ElementsAre("fine"));
}

TEST_F(RegistryLists, LeavesOutWhatIsNoTag) {
  LoopbackServer server(by_path(
      {{"/v2/app/tags/list",
        answer(
            "200 OK", "",
            R"({"tags":["1","../../other/manifests/1","a/b","a?b","%2e%2e","a:1","a@sha256:0",".1","",7]})")}}));
  Registry registry("127.0.0.1:" + std::to_string(server.port()), {}, observer_);
  EXPECT_THAT(registry.tags("app"), ElementsAre("1"));
}

TEST_F(RegistryLists, SaysWhatToDoWhereThereIsNoCatalog) {
  const sdk::Error error = error_of([&] { repositories(by_path({})); });
  EXPECT_EQ(error.status, PIPE_E_NOT_FOUND);
  EXPECT_THAT(error.message, HasSubstr("can't list the repositories of 127.0.0.1:"));
  EXPECT_THAT(error.message, HasSubstr("404: UNSUPPORTED: no such thing"));
  EXPECT_THAT(error.hint, HasSubstr("name the repositories"));
}

TEST_F(RegistryLists, SaysWhatToDoWhereTheCatalogIsForAdministrators) {
  const sdk::Error error = error_of([&] {
    repositories([](const Seen &) {
      return answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "{}");
    });
  });
  EXPECT_EQ(error.status, PIPE_E_DENIED);
  EXPECT_THAT(error.message, HasSubstr("can't list the repositories of 127.0.0.1:"));
  EXPECT_THAT(error.message, HasSubstr("wants a login"));
  EXPECT_THAT(error.hint, HasSubstr("name the repositories"));
}

TEST_F(RegistryLists, AsksForATokenThatMaySeeTheCatalog) {
  std::string realm;
  LoopbackServer server([&realm](const Seen &request) {
    if (request.head.starts_with("GET /token")) return answer("200 OK", "", R"({"token":"t"})");
    if (request.head.find("Authorization: Bearer t") != std::string::npos)
      return answer("200 OK", "", R"({"repositories":["a"]})");
    return answer("401 Unauthorized", "WWW-Authenticate: Bearer realm=\"" + realm + "\",service=\"s\"\r\n",
                  "{}");
  });
  realm = server.url("/token");
  Registry registry("127.0.0.1:" + std::to_string(server.port()), {}, observer_);
  EXPECT_THAT(registry.repositories(), ElementsAre("a"));
  bool asked = false;
  for (const Seen &request : server.seen())
    asked = asked || request.head.starts_with("GET /token?service=s&scope=registry%3Acatalog%3A%2A ");
  EXPECT_TRUE(asked);
}

TEST_F(RegistryLists, DoesNotFollowAListForEver) {
  int requests = 0;
  const sdk::Error error = error_of([&] {
    repositories([&](const Seen &) {
      ++requests;
      return answer("200 OK", "Link: </v2/_catalog?last=a>; rel=\"next\"\r\n", R"({"repositories":["a"]})");
    });
  });
  EXPECT_THAT(error.message, HasSubstr("more than 1000 pages"));
  EXPECT_EQ(requests, 1000);
}

TEST_F(RegistryLists, DoesNotFollowAListToAnotherHost) {
  const sdk::Error error = error_of([&] {
    repositories(by_path({{"/v2/_catalog?n=1000",
                           answer("200 OK", "Link: <http://192.0.2.1/v2/_catalog?last=a>; rel=\"next\"\r\n",
                                  R"({"repositories":["a"]})")}}));
  });
  EXPECT_EQ(error.status, PIPE_E_DENIED);
  EXPECT_THAT(error.message, HasSubstr("goes on at another host"));
}

}  // namespace
}  // namespace pipes::oci
