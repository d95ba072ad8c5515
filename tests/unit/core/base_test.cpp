#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/base/pattern.hpp"
#include "core/base/quantity.hpp"
#include "core/base/value.hpp"
#include "tests/unit/core/support.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace pipes {
namespace {

TEST(Value, KeepsTheOrderOfAMapThroughJson) {
  EXPECT_EQ(to_json(parse_json(R"({"b":1,"a":[true,null,1.5],"c":{"x":"y"}})")),
            R"({"b":1,"a":[true,null,1.5],"c":{"x":"y"}})");
}

TEST(Value, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(to_json(Value("a\xFF")), "\"a\xEF\xBF\xBD\"");
}

TEST(Value, ReadsIntegersThatFitAndLargerOnesAsNumbers) {
  EXPECT_EQ(parse_json("9223372036854775807").as_int(), INT64_MAX);
  EXPECT_EQ(parse_json("9223372036854775808").kind(), Value::Kind::number);
}

TEST(Value, RefusesJsonThatIsNestedTooDeeply) {
  try {
    parse_json(std::string(100000, '['));
    FAIL() << "it was read";
  } catch (const Error &e) {
    EXPECT_EQ(e.message, "it is nested deeper than 64 levels");
  }
}

TEST(Value, SaysWhereJsonIsBroken) {
  try {
    parse_json("{\"a\":}");
    FAIL() << "it was read";
  } catch (const Error &e) {
    EXPECT_EQ(e.message, "it is not JSON: wrong at byte 6");
  }
}

TEST(Value, RefusesTextBehindTheJson) {
  EXPECT_THROW(parse_json("{} x"), Error);
}

TEST(Value, ReadsPlainInsideText) {
  EXPECT_EQ(to_text(Value("a \"b\"")), "a \"b\"");
  EXPECT_EQ(to_text(Value(5)), "5");
  EXPECT_EQ(to_text(Value()), "");
  EXPECT_EQ(to_text(Value(Value::List{1, "x"})), "[1,\"x\"]");
}

TEST(Value, NamesEachKind) {
  EXPECT_EQ(kind_name(Value().kind()), "null");
  EXPECT_EQ(kind_name(Value(true).kind()), "boolean");
  EXPECT_EQ(kind_name(Value(1).kind()), "integer");
  EXPECT_EQ(kind_name(Value(1.5).kind()), "number");
  EXPECT_EQ(kind_name(Value("").kind()), "string");
  EXPECT_EQ(kind_name(Value(Value::List{}).kind()), "list");
  EXPECT_EQ(kind_name(Value(Value::Map{}).kind()), "map");
}

TEST(UniqueFd, ClosesWhatItOwns) {
  int raw = -1;
  {
    const UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = fd.get();
    ASSERT_GE(raw, 0);
  }
  EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST(UniqueFd, MovesAndReleases) {
  UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first);
  const int raw = second.release();
  EXPECT_FALSE(second);
  EXPECT_EQ(::close(raw), 0);
}

TEST(Quantity, ReadsDurations) {
  EXPECT_EQ(parse_duration("500ms"), 500);
  EXPECT_EQ(parse_duration("2m"), 120000);
  EXPECT_EQ(parse_duration("1h30m"), 5400000);
  EXPECT_EQ(parse_duration("1.5s"), 1500);
  EXPECT_EQ(parse_duration("0s"), 0);
}

TEST(Quantity, RefusesDurationsWithoutUnitOrOrder) {
  for (const char *text :
       {"", "30", "s", "1m1h", "1s1s", "-1s", "1 s", "1e3s", "1.2.3s", "5x", "99999999999999d"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Quantity, ReadsSizes) {
  EXPECT_EQ(parse_size("512"), 512);
  EXPECT_EQ(parse_size("1B"), 1);
  EXPECT_EQ(parse_size("0.5"), std::nullopt);
  EXPECT_EQ(parse_duration("0.5ms"), std::nullopt);
  EXPECT_EQ(parse_size("10KB"), 10000);
  EXPECT_EQ(parse_size("10MiB"), 10 << 20);
  EXPECT_EQ(parse_size("512M"), 512 << 20);
  EXPECT_EQ(parse_size("1.5k"), 1536);
}

TEST(Quantity, RefusesSizesThatAreNone) {
  for (const char *text : {"", "M", "10X", "10MiBs", "-1", "1e9", "99999999T"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(Quantity, WritesWhatItReads) {
  for (const std::int64_t value :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{90000}, std::int64_t{86400001}}) {
    EXPECT_EQ(parse_duration(format_duration(value)), value);
  }
  EXPECT_EQ(format_duration(90000), "1m30s");
  EXPECT_EQ(format_size(10 << 20), "10MiB");
  EXPECT_EQ(format_size(1500), "1500B");
}

TEST(Pattern, KnowsClassesInBrackets) {
  const Pattern pattern(R"(^[^/\s]+$)");
  EXPECT_TRUE(pattern.matches_whole("localhost:5000"));
  EXPECT_FALSE(pattern.matches_whole("local host"));
}

TEST(Pattern, SaysWhatIsWrongWithIt) {
  try {
    const Pattern pattern("a[b");
    FAIL() << "it was compiled";
  } catch (const Error &e) {
    EXPECT_TRUE(e.message.starts_with("`a[b` is not a regular expression: ")) << e.message;
    EXPECT_EQ(e.message.find("error occurred"), std::string::npos) << e.message;
  }
}

TEST(Pattern, GivesUpOnRunawayBacktracking) {
  EXPECT_FALSE(Pattern("(a*)*(a*)*(a*)*b").matches_whole(std::string(200, 'a')));
}

TEST(DidYouMean, FindsTheClosestWithinAFewEdits) {
  const std::vector<std::string> words{"image", "policy", "platform"};
  EXPECT_EQ(closest("imgae", words), "image");
  EXPECT_EQ(closest("Policy", words), "policy");
  EXPECT_EQ(closest("digest", words), "");
  EXPECT_EQ(did_you_mean("platfrm", words), "did you mean `platform`?");
  EXPECT_EQ(did_you_mean("x", {}), "");
  EXPECT_EQ(did_you_mean("x", {"y"}), "");
  EXPECT_EQ(did_you_mean("", {"y"}), "");
}

class DiagnosticTest : public ::testing::Test {
 protected:
  std::string render(Diagnostic d, const std::string &text, bool color = false) {
    d.place.file = dir_.write("f.toml", text);
    std::string result = render_human({d}, color);
    const std::string folder = dir_.path().string() + "/";
    return result.erase(result.find(folder), folder.size());
  }
  static Diagnostic at(int line, int column, int length) {
    Diagnostic d;
    d.id = "id";
    d.message = "something is wrong";
    d.place.line = line;
    d.place.column = column;
    d.place.length = length;
    return d;
  }
  test::TempDir dir_;
};

TEST_F(DiagnosticTest, ShowsTheLineWithACaret) {
  Diagnostic d = at(2, 5, 3);
  d.label = "here";
  d.notes = {"a note"};
  d.help = "some help";
  EXPECT_EQ(render(d, "one\nkey=bad\n"),
            "error[id]: something is wrong\n"
            " --> f.toml:2:5\n"
            "  |\n"
            "2 | key=bad\n"
            "  |     ^^^ here\n"
            "  |\n"
            "note: a note\n"
            "help: some help\n"
            "\n");
}

TEST_F(DiagnosticTest, CountsCharactersNotBytes) {
  EXPECT_EQ(render(at(1, 7, 1), "é = \"äx\"\n"),
            "error[id]: something is wrong\n"
            " --> f.toml:1:7\n"
            "  |\n"
            "1 | é = \"äx\"\n"
            "  |       ^\n"
            "\n");
}

TEST_F(DiagnosticTest, StandsBelowWhatTakesOtherThanOneColumn) {
  EXPECT_NE(render(at(1, 2, 1), "\tx\n").find("1 |     x\n  |     ^\n"), std::string::npos);
  // Characters that are two columns wide, before it and above it; one that is drawn onto another.
  EXPECT_NE(render(at(1, 5, 2), "이름 \"값들\"\n").find("  |       ^^^^\n"), std::string::npos);
  EXPECT_NE(render(at(1, 3, 1), "e\u0301x\n").find("  |  ^\n"), std::string::npos);
}

TEST_F(DiagnosticTest, DoesNotEchoALineThatHoldsASecret) {
  Diagnostic d = at(1, 5, 3);
  d.hide_line = true;
  const std::string text = render(d, "key=\"hunter2\"\n");
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  EXPECT_NE(text.find("*** (this line holds a secret and is not shown)"), std::string::npos);
}

TEST_F(DiagnosticTest, LetsNoControlCharacterThrough) {
  Diagnostic d = at(1, 1, 1);
  d.message = "bad \x1b[31m name";
  const std::string text = render(d, "a\x1b[2Jb\u009b31m\u202e\r\n");
  EXPECT_NE(text.find("1 | a?[2Jb?31m?\n"), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST_F(DiagnosticTest, CutsALongLineAroundTheCaret) {
  const std::string text =
      render(at(1, 5000, 4), std::string(4999, 'a') + "here" + std::string(5000, 'b') + "\n");
  EXPECT_LT(text.size(), 300U);
  EXPECT_NE(text.find("…aaa"), std::string::npos);
  EXPECT_NE(text.find("^^^^\n"), std::string::npos);
}

TEST_F(DiagnosticTest, PointsBehindTheEndOfALine) {
  EXPECT_NE(render(at(1, 99, 5), "abc\n").find("  |    ^\n"), std::string::npos);
}

TEST_F(DiagnosticTest, ColoursOnlyWhenAsked) {
  EXPECT_NE(render(at(1, 1, 1), "x\n", true).find("\x1b[1;31merror[id]\x1b[0m"), std::string::npos);
}

TEST_F(DiagnosticTest, StandsWithoutAPlace) {
  Diagnostic d;
  d.message = "no file at all";
  d.warning = true;
  EXPECT_EQ(render_human({d}, false), "warning: no file at all\n\n");
}

TEST_F(DiagnosticTest, ShortFormIsOneLine) {
  Diagnostic d = at(3, 4, 1);
  d.place.file = "a.toml";
  EXPECT_EQ(render_short({d}), "a.toml:3:4: error[id]: something is wrong\n");
}

TEST_F(DiagnosticTest, JsonHasAllFields) {
  Diagnostic d = at(3, 4, 1);
  d.place.file = "a.toml";
  d.notes = {"n"};
  d.help = "h";
  EXPECT_EQ(render_json({d}),
            "[\n{\"level\":\"error\",\"id\":\"id\",\"message\":\"something is "
            "wrong\",\"file\":\"a.toml\",\"line\":3,"
            "\"column\":4,\"length\":1,\"label\":\"\",\"notes\":[\"n\"],\"help\":\"h\"}\n]\n");
}

TEST_F(DiagnosticTest, SortsByPlaceAndSaysNothingTwice) {
  Diagnostics all{at(5, 1, 1), at(2, 9, 1), at(2, 3, 1), at(2, 9, 1)};
  sort_diagnostics(all);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].place.column, 3);
  EXPECT_EQ(all[2].place.line, 5);
}

TEST_F(DiagnosticTest, SumsUp) {
  Diagnostics all{at(1, 1, 1), at(2, 1, 1)};
  all[1].warning = true;
  EXPECT_EQ(summarize(all), "1 error, 1 warning");
  EXPECT_TRUE(has_errors(all));
  all.erase(all.begin());
  EXPECT_EQ(summarize(all), "0 errors, 1 warning");
  EXPECT_FALSE(has_errors(all));
}

}  // namespace
}  // namespace pipes
