#include "sdk/oci/registry_error.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace pipes::oci {
namespace {

http::Response answer(int status, std::string body, std::string type = "application/json") {
  http::Response response;
  response.status = status;
  response.body = std::move(body);
  response.headers.list = {{"content-type", std::move(type)}};
  return response;
}

sdk::Error thrown(const http::Response &response) {
  try {
    throw_status(response, "can't read x");
  } catch (const sdk::Error &error) {
    return error;
  }
}

TEST(Explain, ReadsTheErrorsOfRegistries) {
  EXPECT_EQ(
      explain(answer(
          404,
          R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"1"}}]})")),
      ": MANIFEST_UNKNOWN: manifest unknown");
  EXPECT_EQ(explain(answer(400, R"({"errors":[{"code":"A","message":"b","detail":"c"},{"code":"D"}]})")),
            ": A: b (c); D");
}

TEST(Explain, ReadsOtherJson) {
  EXPECT_EQ(explain(answer(401, R"({"details":"incorrect username or password"})")),
            ": incorrect username or password");
  EXPECT_EQ(explain(answer(500, R"({"message":"no"})")), ": no");
  EXPECT_EQ(explain(answer(500, R"({"a":1})")), "");
  EXPECT_EQ(explain(answer(500, R"({"errors":"no list","error":"x"})")), ": x");
}

TEST(Explain, CallsAWebPageOne) {
  EXPECT_EQ(explain(answer(502, "<html><head><title>502 Bad\n Gateway</title></head></html>",
                           "text/html; charset=utf-8")),
            ": a web page, \"502 Bad Gateway\"");
  EXPECT_EQ(explain(answer(200, "  <!DOCTYPE HTML><p>hi", "text/plain")),
            ": a web page, not a registry's answer");
}

TEST(Explain, ShowsTextInOneShortLineWithoutControlCharacters) {
  EXPECT_EQ(explain(answer(400, "Client sent an HTTP request\r\nto an HTTPS server.\n", "text/plain")),
            ": Client sent an HTTP request to an HTTPS server.");
  EXPECT_EQ(explain(answer(400, "\x1b[31mred", "text/plain")), ": [31mred");
  EXPECT_EQ(explain(answer(400, std::string(5000, 'x'), "text/plain")).size(), 302u);
  EXPECT_EQ(explain(answer(404, "")), "");
}

TEST(ThrowStatus, TellsWhatCanPassFromWhatCannot) {
  EXPECT_EQ(thrown(answer(401, "")).status, PIPE_E_DENIED);
  EXPECT_EQ(thrown(answer(403, "")).status, PIPE_E_DENIED);
  EXPECT_EQ(thrown(answer(404, "")).status, PIPE_E_NOT_FOUND);
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    EXPECT_EQ(thrown(answer(status, "")).status, PIPE_E_TRANSIENT) << status;
    EXPECT_TRUE(is_transient(status)) << status;
  }
  EXPECT_EQ(thrown(answer(400, "")).status, PIPE_E_INVALID);
  EXPECT_EQ(thrown(answer(405, "")).hint, "the registry takes no changes: it is read-only, or a mirror");
  EXPECT_EQ(thrown(answer(413, "")).hint,
            "a proxy before the registry limits the size of a request (nginx: client_max_body_size)");
  const sdk::Error nginx = thrown(
      answer(400, "<html><head><title>400 No required SSL certificate was sent</title></head>", "text/html"));
  EXPECT_EQ(nginx.status, PIPE_E_DENIED);
  EXPECT_NE(nginx.hint.find("client_cert"), std::string::npos);
  EXPECT_EQ(thrown(answer(400, "no")).message, "can't read x: 400: no");
}

std::int64_t waits(std::string value) {
  return retry_after({{{"retry-after", std::move(value)}}});
}

TEST(RetryAfter, IsSecondsOrADateAndNeverAbsurd) {
  EXPECT_EQ(retry_after({}), 0);
  EXPECT_EQ(waits("7"), 7000);
  EXPECT_EQ(waits("-5"), 0);
  EXPECT_EQ(waits("soon"), 0);
  EXPECT_EQ(waits("99999999999999999999"), 24 * 3600 * 1000);
  EXPECT_EQ(waits("Wed, 21 Oct 2015 07:28:00 GMT"), 0);
  const std::time_t later = std::time(nullptr) + 30;
  char date[64];
  std::tm parts{};
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", ::gmtime_r(&later, &parts));
  EXPECT_GE(waits(date), 28000);
  EXPECT_LE(waits(date), 30000);
}

TEST(HasErrorCode, FindsIt) {
  const auto response = answer(405, R"({"errors":[{"code":"UNSUPPORTED"}]})");
  EXPECT_TRUE(has_error_code(response, "UNSUPPORTED"));
  EXPECT_FALSE(has_error_code(response, "DENIED"));
  EXPECT_FALSE(has_error_code(answer(405, "<html>UNSUPPORTED"), "UNSUPPORTED"));
}

}  // namespace
}  // namespace pipes::oci
