#include <gtest/gtest.h>
#include <pipe/http/client.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "tests/unit/http/loopback_server.hpp"
#include "tests/unit/quiet.hpp"

namespace pipes::http {
namespace {

using testing::LoopbackServer;
using testing::Seen;
using namespace std::chrono_literals;

std::string answer(int status, const std::string &body, const std::string &headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) + " x\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

pipe_status status_of(Client &client, const Request &request) {
  try {
    client.send(request);
    return PIPE_OK;
  } catch (const sdk::Error &error) {
    return error.status;
  }
}

class ClientTest : public ::testing::Test {
 protected:
  sdk::testing::Quiet observer;
  Client client{ClientOptions{}, observer};
};

TEST_F(ClientTest, GivesStatusHeadersAndBody) {
  LoopbackServer server([](const Seen &) { return answer(404, "gone", "X-Reason: none \r\n"); });
  const Response response = client.send({.url = server.url("/a?b=c")});
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "gone");
  EXPECT_EQ(response.headers.get("x-reason"), "none");
  EXPECT_EQ(response.url, server.url("/a?b=c"));
  EXPECT_EQ(response.zone, Zone::loopback);
  EXPECT_EQ(server.seen().at(0).head.find("GET /a?b=c HTTP/1.1\r\n"), 0u);
}

TEST_F(ClientTest, KeepsItsConnection) {
  LoopbackServer server([](const Seen &) { return answer(200, "x"); });
  for (int i = 0; i < 5; ++i) client.send({.url = server.url()});
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, SendsABodyWithItsLengthAndNoFormType) {
  LoopbackServer server([](const Seen &) { return answer(201, ""); });
  client.send({.method = "PUT", .url = server.url(), .headers = {{"Content-Type", "a/b"}}, .body = "hello"});
  client.send({.method = "POST", .url = server.url()});
  const auto seen = server.seen();
  EXPECT_EQ(seen.at(0).body, "hello");
  EXPECT_NE(seen.at(0).head.find("Content-Type: a/b\r\n"), std::string::npos);
  EXPECT_NE(seen.at(1).head.find("POST / "), std::string::npos);
  EXPECT_NE(seen.at(1).head.find("Content-Length: 0\r\n"), std::string::npos);
  EXPECT_EQ(seen.at(1).head.find("x-www-form-urlencoded"), std::string::npos);
}

Source text_source(std::string text) {
  return [text = std::move(text), at = std::size_t{0}](char *data, std::size_t size) mutable {
    const std::size_t n = std::min(size, text.size() - at);
    text.copy(data, n, at);
    at += n;
    return n;
  };
}

TEST_F(ClientTest, StreamsAnUploadOfKnownLengthWithoutAskingFirst) {
  LoopbackServer server([](const Seen &) { return answer(201, ""); });
  const std::string content(3u << 20, 'x');
  client.send(
      {.method = "PUT", .url = server.url(), .source = text_source(content), .body_size = content.size()});
  EXPECT_EQ(server.seen().at(0).body, content);
  EXPECT_EQ(server.seen().at(0).head.find("Expect:"), std::string::npos);
}

TEST_F(ClientTest, StreamsAnUploadOfUnknownLengthInChunks) {
  LoopbackServer server([](const Seen &) { return answer(201, ""); });
  client.send({.method = "POST", .url = server.url(), .source = text_source("hello")});
  EXPECT_EQ(server.seen().at(0).body, "5\r\nhello\r\n0\r\n\r\n");
}

TEST_F(ClientTest, StreamsABodyToItsSinkAndErrorsToTheBody) {
  LoopbackServer server([](const Seen &seen) {
    return seen.head.starts_with("GET /no") ? answer(500, "why") : answer(200, std::string(1u << 20, 'b'));
  });
  std::size_t got = 0;
  const Sink sink = [&](const char *, std::size_t size) { got += size; };
  EXPECT_EQ(client.send({.url = server.url("/yes"), .sink = sink}).body, "");
  EXPECT_EQ(got, 1u << 20);
  EXPECT_EQ(client.send({.url = server.url("/no"), .sink = sink}).body, "why");
  EXPECT_EQ(got, 1u << 20);
}

TEST_F(ClientTest, RefusesALargerAnswerThanAskedForAndCutsErrors) {
  LoopbackServer server([](const Seen &seen) {
    return answer(seen.head.starts_with("GET /no") ? 502 : 200, std::string(1u << 20, 'b'));
  });
  EXPECT_EQ(status_of(client, {.url = server.url(), .max_body = 1000}), PIPE_E_INVALID);
  const Response error = client.send({.url = server.url("/no")});
  EXPECT_EQ(error.status, 502);
  EXPECT_EQ(error.body.size(), 64u << 10);
}

TEST_F(ClientTest, LetsTheExceptionOfASinkThrough) {
  LoopbackServer server([](const Seen &) { return answer(200, "x"); });
  EXPECT_THROW(client.send({.url = server.url(),
                            .sink = [](const char *, std::size_t) { throw std::logic_error("x"); }}),
               std::logic_error);
  EXPECT_EQ(client.send({.url = server.url()}).status, 200);
}

TEST_F(ClientTest, SaysTransientWhenTheConnectionBreaks) {
  LoopbackServer silent([](const Seen &) { return std::string(); });
  EXPECT_EQ(status_of(client, {.url = silent.url()}), PIPE_E_TRANSIENT);
  LoopbackServer cut(
      [](const Seen &) { return "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf"; });
  EXPECT_EQ(status_of(client, {.url = cut.url()}), PIPE_E_TRANSIENT);
}

TEST_F(ClientTest, SaysTransientWhenNothingListens) {
  int port = 0;
  {
    port = LoopbackServer([](const Seen &) { return std::string(); }).port();
  }
  try {
    client.send({.url = "http://127.0.0.1:" + std::to_string(port) + "/"});
    FAIL();
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_TRANSIENT);
    EXPECT_EQ(error.message, "can't connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
  }
}

TEST_F(ClientTest, SaysInvalidToWhatIsNoHttp) {
  LoopbackServer server([](const Seen &) { return "220 mail ready\r\nConnection: close\r\n"; });
  EXPECT_EQ(status_of(client, {.url = server.url()}), PIPE_E_INVALID);
}

TEST_F(ClientTest, TellsAPlainHttpServerFromATlsFailure) {
  LoopbackServer server([](const Seen &) { return answer(200, ""); });
  try {
    client.send({.url = "https" + server.url().substr(4)});
    FAIL();
  } catch (const TlsError &error) {
    EXPECT_EQ(error.reason, TlsError::Reason::speaks_plain_http) << error.message;
    EXPECT_EQ(error.status, PIPE_E_TRANSIENT);
  }
}

/// A server that answers once it is told to, or much later.
struct LateServer {
  std::promise<void> told;
  LoopbackServer server{[late = told.get_future().share()](const Seen &) {
    late.wait_for(30s);
    return answer(200, "");
  }};
};

TEST_F(ClientTest, GivesUpWhenNothingMoves) {
  LateServer late;
  EXPECT_EQ(status_of(client, {.url = late.server.url(), .no_progress = 200ms}), PIPE_E_TIMEOUT);
  late.told.set_value();
}

TEST_F(ClientTest, StopsAtOnceWhenCancelled) {
  LateServer late;
  const std::jthread later([this] {
    std::this_thread::sleep_for(100ms);
    observer.stop();
  });
  EXPECT_EQ(status_of(client, {.url = late.server.url()}), PIPE_E_CANCELLED);
  late.told.set_value();
}

TEST_F(ClientTest, RefusesHeadersThatWouldBreakOut) {
  EXPECT_EQ(status_of(client, {.url = "http://127.0.0.1:1/", .authorization = "Basic x\r\nEvil: y"}),
            PIPE_E_INVALID);
}

TEST_F(ClientTest, IgnoresAnInterimAnswer) {
  LoopbackServer server(
      [](const Seen &) { return "HTTP/1.1 103 Early\r\nX-A: 1\r\n\r\n" + answer(200, "x"); });
  const Response response = client.send({.url = server.url()});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("x-a"), "");
}

TEST_F(ClientTest, RefusesAnAnswerWithTwoLengths) {
  LoopbackServer server([](const Seen &) { return answer(200, "abc", "Content-Length: 1\r\n"); });
  EXPECT_EQ(status_of(client, {.url = server.url()}), PIPE_E_TRANSIENT);
  LoopbackServer same([](const Seen &) { return answer(200, "abc", "Content-Length: 3\r\n"); });
  EXPECT_EQ(client.send({.url = same.url()}).body, "abc");
}

TEST_F(ClientTest, TakesTheAnswerToAnUploadThatWasRefusedEarly) {
  LoopbackServer server([](const Seen &seen) {
    return answer(seen.head.find("Content-Length: 9000000000") != std::string::npos ? 200 : 413, "too big",
                  "Connection: close\r\n");
  });
  const Response response =
      client.send({.method = "PUT", .url = server.url(), .source = text_source("abc"), .body_size = 3});
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.body, "too big");
}

TEST_F(ClientTest, FollowsARedirectOfItsOwnOriginWithItsCredentials) {
  LoopbackServer server([](const Seen &seen) {
    return seen.head.starts_with("GET /a ") ? answer(307, "", "Location: /b\r\n") : answer(200, "there");
  });
  const Response response = client.send({.url = server.url("/a"), .authorization = "Bearer t"});
  EXPECT_EQ(response.body, "there");
  EXPECT_EQ(response.url, server.url("/b"));
  EXPECT_NE(server.seen().at(1).head.find("Authorization: Bearer t"), std::string::npos);
}

TEST_F(ClientTest, SendsNoCredentialsAlongARedirectToAnotherPort) {
  LoopbackServer other([](const Seen &) { return answer(200, "there"); });
  LoopbackServer server(
      [&](const Seen &) { return answer(307, "", "Location: " + other.url("/blob?sig=1") + "\r\n"); });
  EXPECT_EQ(client.send({.url = server.url(), .authorization = "Bearer t"}).body, "there");
  EXPECT_EQ(other.seen().at(0).head.find("Authorization"), std::string::npos);
}

TEST_F(ClientTest, SendsNoCredentialsBackToItsOriginByTheWayOfAnother) {
  LoopbackServer *home = nullptr;
  LoopbackServer other(
      [&](const Seen &) { return answer(307, "", "Location: " + home->url("/end") + "\r\n"); });
  LoopbackServer server([&](const Seen &seen) {
    return seen.head.starts_with("GET /end") ? answer(200, "")
                                             : answer(307, "", "Location: " + other.url() + "\r\n");
  });
  home = &server;
  client.send({.url = server.url(), .authorization = "Bearer t"});
  EXPECT_EQ(server.seen().at(1).head.find("Authorization"), std::string::npos);
}

TEST_F(ClientTest, FollowsNoRedirectOfAPost) {
  LoopbackServer server([](const Seen &) { return answer(307, "", "Location: /b\r\n"); });
  EXPECT_EQ(client.send({.method = "POST", .url = server.url()}).status, 307);
}

TEST_F(ClientTest, FollowsNoRedirectToTheMetadataServiceOfACloud) {
  for (const char *place : {"http://169.254.169.254/latest", "http://0xa9fea9fe/", "http://2852039166/"}) {
    LoopbackServer server(
        [&](const Seen &) { return answer(302, "", std::string("Location: ") + place + "\r\n"); });
    try {
      client.send({.url = server.url()});
      ADD_FAILURE() << place;
    } catch (const sdk::Error &error) {
      EXPECT_EQ(error.status, PIPE_E_DENIED) << error.message;
      EXPECT_NE(error.message.find("169.254.169.254"), std::string::npos) << error.message;
    }
  }
}

TEST_F(ClientTest, GoesNowhereInsideForAServerOutsideEvenOnAKeptConnection) {
  LoopbackServer server([](const Seen &) { return answer(200, ""); });
  const std::string by_name = "http://localhost:" + std::to_string(server.port()) + "/";
  EXPECT_EQ(status_of(client, {.url = by_name, .sent_by = Zone::internet}), PIPE_E_DENIED);
  EXPECT_EQ(server.connections(), 0);
  EXPECT_EQ(status_of(client, {.url = server.url()}), PIPE_OK);
  EXPECT_EQ(status_of(client, {.url = server.url(), .sent_by = Zone::private_network}), PIPE_E_DENIED);
  EXPECT_EQ(server.seen().size(), 1u);
}

TEST_F(ClientTest, EndsARedirectLoop) {
  LoopbackServer server([](const Seen &) { return answer(302, "", "Location: /again\r\n"); });
  EXPECT_EQ(status_of(client, {.url = server.url()}), PIPE_E_INVALID);
  EXPECT_EQ(server.seen().size(), 11u);
}

TEST(UnixSocket, IsSpokenTo) {
  const std::string path = ::testing::TempDir() + "pipe-http-" + std::to_string(::getpid()) + ".sock";
  sdk::testing::Quiet observer;
  {
    LoopbackServer server(path, [](const Seen &) { return answer(200, "OK"); });
    Client client({.unix_socket = path}, observer);
    EXPECT_EQ(client.send({.url = "http://docker/_ping"}).body, "OK");
  }
  ::unlink(path.c_str());
  Client client({.unix_socket = path}, observer);
  EXPECT_EQ(status_of(client, {.url = "http://docker/_ping"}), PIPE_E_NOT_FOUND);
}

TEST(Proxy, IsTakenFromTheEnvironmentButNotForLoopback) {
  LoopbackServer proxy([](const Seen &) { return answer(200, "by proxy"); });
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  sdk::testing::Quiet observer;
  Client client({}, observer);
  EXPECT_EQ(client.send({.url = "http://registry.invalid/x"}).body, "by proxy");
  LoopbackServer server([](const Seen &) { return answer(200, "direct"); });
  EXPECT_EQ(client.send({.url = server.url()}).body, "direct");
  ::unsetenv("http_proxy");
}

}  // namespace
}  // namespace pipes::http
