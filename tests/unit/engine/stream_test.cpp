#include "sdk/engine/stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pipe/error.hpp>
#include <string>
#include <vector>

#include "sdk/engine/messages.hpp"

namespace pipes::engine {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;

std::vector<std::string> split(const std::vector<std::string> &pieces) {
  std::vector<std::string> objects;
  JsonSplitter splitter([&](std::string_view object) { objects.emplace_back(object); });
  for (const std::string &piece : pieces) splitter.feed(piece);
  splitter.finish();
  return objects;
}

TEST(JsonSplitter, JoinsObjectsThatComeInPieces) {
  EXPECT_THAT(split({R"({"stre)", R"(am":"a)", "\"}", "\r\n"}), ElementsAre(R"({"stream":"a"})"));
}

TEST(JsonSplitter, PartsObjectsThatComeTogether) {
  EXPECT_THAT(split({"{\"a\":1}\r\n{\"b\":{\"c\":[2]}}{\"d\":3}\n"}),
              ElementsAre(R"({"a":1})", R"({"b":{"c":[2]}})", R"({"d":3})"));
}

TEST(JsonSplitter, IsNotMisledByBracesAndQuotesInText) {
  const std::string object = R"({"stream":"}{ \" ] \\"})";
  EXPECT_THAT(split({object + object}), ElementsAre(object, object));
}

TEST(JsonSplitter, EveryPlaceToCutGivesTheSame) {
  const std::string text = "{\"status\":\"\\\"x\\\\\"}\r\n{\"id\":\"y\"}";
  for (std::size_t at = 0; at <= text.size(); ++at)
    EXPECT_EQ(split({text.substr(0, at), text.substr(at)}).size(), 2U) << at;
}

TEST(JsonSplitter, AnAnswerCutShortIsNoSuccess) {
  try {
    split({R"({"stream":"Loaded im)"});
    FAIL() << "cut short, and no error";
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_TRANSIENT);
  }
}

TEST(JsonSplitter, RejectsWhatIsNoStreamOfObjects) {
  EXPECT_THROW(split({"<html>"}), sdk::Error);
}

TEST(JsonSplitter, RejectsAnObjectWithoutEnd) {
  EXPECT_THROW(split({"{\"a\":\"" + std::string(2u << 20, 'x')}), sdk::Error);
}

std::string frame(char type, const std::string &text) {
  return type + "\0\0\0\0\0"s + static_cast<char>(text.size() >> 8) + static_cast<char>(text.size() & 0xff) +
         text;
}

TEST(FrameSplitter, GivesTextHoweverItIsCut) {
  const std::string whole =
      frame(1, "out\n") + frame(2, "") + frame(2, "err\n") + frame(1, std::string(300, 'x'));
  for (const std::size_t size : {1U, 3U, 8U, 1000U}) {
    std::string text;
    FrameSplitter frames([&](std::string_view part) { text += part; });
    for (std::size_t at = 0; at < whole.size(); at += size)
      frames.feed(std::string_view(whole).substr(at, size));
    EXPECT_EQ(text, "out\nerr\n" + std::string(300, 'x')) << size;
  }
}

TEST(DecodeLog, TakesBothStreamsOutOfTheirFrames) {
  EXPECT_EQ(decode_log(frame(1, "out\n") + frame(2, "err\n") + frame(1, std::string(300, 'x'))),
            "out\nerr\n" + std::string(300, 'x'));
}

TEST(DecodeLog, GivesWhatThereIsOfAFrameCutShort) {
  const std::string whole = frame(1, "one\n") + frame(2, "two\n");
  EXPECT_EQ(decode_log(whole.substr(0, whole.size() - 2)), "one\ntw");
  EXPECT_EQ(decode_log(whole.substr(0, 12 + 5)), "one\n");
}

TEST(DecodeLog, LeavesATerminalsLogAsItIs) {
  EXPECT_EQ(decode_log("plain text\r\n"), "plain text\r\n");
  EXPECT_EQ(decode_log(""), "");
}

TEST(StreamMessage, PrefersErrorDetailAndTakesError) {
  EXPECT_EQ(parse_stream_message(R"({"errorDetail":{"code":1,"message":"no space"},"error":""})").error,
            "no space");
  EXPECT_EQ(parse_stream_message(R"({"error":"old form"})").error, "old form");
  EXPECT_EQ(parse_stream_message(R"({"stream":"Loaded image: a:1\n"})").error, std::nullopt);
  EXPECT_EQ(parse_stream_message(R"({"stream":"Loaded image: a:1\n"})").stream, "Loaded image: a:1\n");
}

}  // namespace
}  // namespace pipes::engine
