#include "core/run/redactor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pipes {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

TEST(Redactor, MasksEveryOccurrence) {
  const Redactor redactor({"hunter2!"});
  EXPECT_EQ(redactor.text("a hunter2! b hunter2!hunter2!"), "a *** b ******");
}

TEST(Redactor, IgnoresEmptySecretsAndSaysSo) {
  const Redactor redactor({""});
  EXPECT_EQ(redactor.text("ordinary text"), "ordinary text");
  EXPECT_THAT(redactor.warnings(), SizeIs(1));
}

TEST(Redactor, DoesNotMaskWhatIsTooShortAndSaysSo) {
  const Redactor redactor({"abc"});
  EXPECT_EQ(redactor.text("abcdef"), "abcdef");
  ASSERT_THAT(redactor.warnings(), SizeIs(1));
  EXPECT_THAT(redactor.warnings()[0], Not(HasSubstr("abc")));
}

TEST(Redactor, MasksTheLongestOfSecretsThatBeginAlike) {
  const Redactor redactor({"token", "token-of-admin"});
  EXPECT_EQ(redactor.text("token-of-admin and token"), "*** and ***");
  EXPECT_EQ(redactor.text("token-of-"), "***-of-");
}

TEST(Redactor, MasksLinesOfASecretButNotItsShortFragments) {
  const Redactor redactor({"-----BEGIN KEY-----\nMIIabc\n}\n"});
  EXPECT_EQ(redactor.text("MIIabc"), "***");
  EXPECT_EQ(redactor.text("a } b"), "a } b");
}

TEST(Redactor, MasksLinesWithCarriageReturns) {
  EXPECT_EQ(Redactor({"first-line\r\nsecond-line"}).text("first-line second-line"), "*** ***");
}

TEST(Redactor, MasksASecretOfShortLinesAsAWhole) {
  EXPECT_EQ(Redactor({"ab\ncd\nef"}).text("x ab\ncd\nef y ab"), "x *** y ab");
}

TEST(Redactor, MasksBase64WhereverItStandsInWhatWasEncoded) {
  const Redactor redactor({"correct horse"});
  EXPECT_EQ(redactor.text("Y29ycmVjdCBob3JzZQ=="), "***Q==");  // printf 'correct horse' | base64
  EXPECT_THAT(redactor.text("dXNlcjpjb3JyZWN0IGhvcnNl"),
              Not(HasSubstr("jb3JyZWN0IGhvcnNl")));  // user:correct horse
}

TEST(Redactor, MasksUrlAndJsonForms) {
  const Redactor redactor({"p@ss w\"rd/1"});
  EXPECT_EQ(redactor.text("p%40ss%20w%22rd%2F1"), "***");
  EXPECT_EQ(redactor.text("p%40ss%20w%22rd%2f1"), "***");
  EXPECT_EQ(redactor.text(R"({"a":"p@ss w\"rd/1"})"), R"({"a":"***"})");
}

TEST(Redactor, DoesNotMatchEncodedFormsThatAreShort) {
  // base64 of "abcd" is "YWJjZA", too short to be told from text.
  EXPECT_EQ(Redactor({"abcd"}).text("YWJjZA=="), "YWJjZA==");
}

TEST(Redactor, MasksInsideValues) {
  const Redactor redactor({"hunter2!"});
  const Value value = Value::Map{{"list", Value::List{"x hunter2!", 3}}, {"hunter2!", true}};
  EXPECT_EQ(to_json(redactor.value(value)), R"({"list":["x ***",3],"***":true})");
}

TEST(Redactor, TakesTheUserOutOfUrls) {
  EXPECT_EQ(hide_userinfo("get https://me:pw@host:5000/v2/ now"), "get https://***@host:5000/v2/ now");
  EXPECT_EQ(hide_userinfo("https://token@host and http://plain/a@b"),
            "https://***@host and http://plain/a@b");
  EXPECT_EQ(hide_userinfo("nothing:// here"), "nothing:// here");
}

TEST(StreamRedactor, MasksAcrossEveryBorderOfPieces) {
  const Redactor redactor({"hunter2!", "hunger"});
  const std::string text = "a hunter2! b hunger hunt hunte";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    StreamRedactor stream(redactor);
    std::string out = stream.add(text.substr(0, cut));
    out += stream.add(text.substr(cut));
    out += stream.finish();
    EXPECT_EQ(out, "a *** b *** hunt hunte") << "cut at " << cut;
  }
}

TEST(StreamRedactor, MasksByteByByte) {
  const Redactor redactor({"hunter2!"});
  StreamRedactor stream(redactor);
  std::string out;
  for (const char c : std::string("xhunthunter2!hunter2!y")) out += stream.add(std::string(1, c));
  EXPECT_EQ(out + stream.finish(), "xhunt******y");
}

TEST(StreamRedactor, HoldsBackNoMoreThanItMust) {
  const Redactor redactor({"hunter2!"});
  StreamRedactor stream(redactor);
  EXPECT_EQ(stream.add("plain text hun"), "plain text ");
  EXPECT_EQ(stream.add("dred"), "hundred");
}

}  // namespace
}  // namespace pipes
