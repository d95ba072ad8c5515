#include <pipe/oci/registry.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "oci_support.hpp"
#include "tests/unit/http/loopback_server.hpp"

namespace pipes::oci {
namespace {

using http::testing::LoopbackServer;
using http::testing::Seen;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string answer(const std::string &status, const std::string &headers = {}) {
  return "HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: 2\r\n\r\n{}";
}

class OnLoopback : public ::testing::Test {
 protected:
  /// Asks for an API and for tags.
  sdk::Error asked(const LoopbackServer &server) {
    Registry registry("127.0.0.1:" + std::to_string(server.port()), {}, observer_);
    return error_of([&] {
      status_ = registry.ping().status;
      origin_ = registry.origin();
      registry.tags("app");
    });
  }
  testing::Quiet observer_;
  int status_ = 0;
  std::string origin_;
};

TEST_F(OnLoopback, PlainHttpIsAskedFirstByOneConnection) {
  const LoopbackServer server([](const Seen &) { return answer("200 OK"); });
  EXPECT_EQ(asked(server).status, PIPE_OK);
  EXPECT_EQ(server.connections(), 1);
  EXPECT_THAT(server.seen().front().head, StartsWith("GET /v2/ "));
  EXPECT_THAT(origin_, StartsWith("http://127.0.0.1:"));
}

TEST_F(OnLoopback, A400OfPlainHttpStandsWhereThereIsNoTls) {
  const LoopbackServer server([](const Seen &) { return answer("400 Bad Request"); });
  const sdk::Error error = asked(server);
  EXPECT_EQ(status_, 400);
  EXPECT_THAT(origin_, StartsWith("http://"));
  EXPECT_THAT(error.message, HasSubstr("400"));
}

TEST_F(OnLoopback, WhatSendsPlainHttpToTlsIsTakenForTls) {
  std::string there;
  const LoopbackServer server(
      [&there](const Seen &) { return answer("301 Moved Permanently", "Location: " + there + "\r\n"); });
  there = "https://127.0.0.1:" + std::to_string(server.port()) + "/v2/";
  // It does not speak it, so that is where it ends: it is not asked plainly after all.
  EXPECT_THAT(asked(server).message, HasSubstr("TLS"));
}

TEST_F(OnLoopback, ABrokenConnectionIsSaidAsItCame) {
  const LoopbackServer server([](const Seen &) { return std::string(); });
  EXPECT_THAT(asked(server).message, HasSubstr("closed the connection without an answer"));
}

}  // namespace
}  // namespace pipes::oci
