#include "core/schema/schema.hpp"

#include "core/base/error.hpp"

#include <gtest/gtest.h>

namespace pipes {
namespace {

Param param(const std::string &json) {
  return parse_metadata(R"({"abi":[1,0],"step":"s","params":[)" + json + "]}").front().params.front();
}

/// The value as JSON, or `! ` and the problem.
std::string coerced(const std::string &json, Value value) {
  const std::string problem = coerce(param(json), value);
  return problem.empty() ? to_json(value) : "! " + problem;
}

std::string coerced_text(const std::string &json, const std::vector<std::string> &texts) {
  Value value;
  const std::string problem = coerce_text(param(json), texts, value);
  return problem.empty() ? to_json(value) : "! " + problem;
}

std::string refusal(const std::string &json) {
  try {
    parse_metadata(json);
  } catch (const Error &e) {
    EXPECT_EQ(e.code, Exit::plugin);
    return e.message;
  }
  return "it was read";
}

constexpr const char *kText = R"({"name":"x","type":"string"})";
constexpr const char *kInteger = R"({"name":"x","type":"integer","minimum":1,"maximum":10})";
constexpr const char *kDuration = R"({"name":"x","type":"duration","minimum":1000})";
constexpr const char *kSize = R"({"name":"x","type":"size","maximum":1048576})";
constexpr const char *kBoolean = R"({"name":"x","type":"boolean"})";
constexpr const char *kNumber = R"({"name":"x","type":"number"})";
constexpr const char *kChoice = R"({"name":"x","type":"string","choices":["newer","never"]})";
constexpr const char *kPattern = R"({"name":"x","type":"string","pattern":"[a-z]+"})";
constexpr const char *kList = R"({"name":"x","type":"list","item":"string"})";
constexpr const char *kIntegers = R"({"name":"x","type":"list","item":"integer","minimum":1})";
constexpr const char *kMaps = R"({"name":"x","type":"list","item":"map"})";
constexpr const char *kMap = R"({"name":"x","type":"map","item":"string"})";
constexpr const char *kSecret = R"({"name":"x","type":"string","secret":true,"pattern":"[a-z]+"})";
constexpr const char *kPath = R"({"name":"x","type":"path"})";

TEST(Metadata, ReadsAllThatAParameterSays) {
  const auto steps = parse_metadata(R"({"pipe":1,"abi":[1,2],"step":"pull","version":"0.1.0","help":"Pull",
    "operations":["plan","run","undo"],
    "params":[{"name":"wait","type":"duration","required":true,"secret":true,"default":"2m","format":"f","minimum":1,
               "maximum":9999999,"pattern":"","choices":[],"examples":["1m"],"aliases":["old"],"deprecated":"d","help":"h"}],
    "outputs":[{"name":"tags","type":"list","item":"string","help":"t"}],"unheard_of":{}})");
  ASSERT_EQ(steps.size(), 1U);
  const StepSchema &step = steps.front();
  EXPECT_EQ(step.step + step.version + step.help, "pull0.1.0Pull");
  EXPECT_EQ(step.abi_minor, 2);
  EXPECT_TRUE(step.has_plan && step.has_undo);
  const Param *wait = step.param("old");
  ASSERT_NE(wait, nullptr);
  EXPECT_EQ(wait->name, "wait");
  EXPECT_EQ(*wait->fallback, Value(120000));
  EXPECT_TRUE(wait->required && wait->secret);
  EXPECT_EQ(step.output("tags")->type, Type::list);
  EXPECT_EQ(step.output("none"), nullptr);
}

TEST(Metadata, ReadsSeveralStepsOfOneFile) {
  const std::string nul(1, '\0');
  const std::string two = R"({"abi":[1,0],"step":"a"})" + nul + R"({"abi":[1,0],"step":"b"})" + nul + nul;
  EXPECT_EQ(parse_metadata(two).size(), 2U);
  EXPECT_EQ(parse_metadata(R"([{"abi":[1,0],"step":"a"},{"abi":[1,0],"step":"b"}])").size(), 2U);
}

TEST(Metadata, TakesADefaultOfMilliseconds) {
  EXPECT_EQ(*param(R"({"name":"x","type":"duration","default":500})").fallback, Value(500));
}

TEST(Metadata, TreatsANullDefaultAsNone) {
  EXPECT_FALSE(param(R"({"name":"x","type":"string","default":null})").fallback);
}

TEST(Metadata, RefusesATypeItDoesNotKnow) {
  EXPECT_EQ(refusal(R"({"abi":[1,0],"step":"s","params":[{"name":"x","type":"colour"}]})"),
            "`x` has the type `colour`, which this pipe does not know");
}

TEST(Metadata, SaysWhatIsWrong) {
  EXPECT_EQ(refusal("{"), "the plugin's metadata is wrong: it is not JSON: wrong at byte 2");
  EXPECT_EQ(refusal("{}"), "the plugin's metadata is wrong: `step` is missing");
  EXPECT_EQ(refusal(""), "the plugin's metadata is wrong: it names no step");
  EXPECT_EQ(refusal("[1]"), "the plugin's metadata is wrong: a step is not an object");
  EXPECT_EQ(refusal(R"({"step":5})"), "the plugin's metadata is wrong: `step` is an integer, not a string");
  EXPECT_EQ(refusal(R"({"step":"s","abi":[1]})"),
            "the plugin's metadata is wrong: `abi` is not [major, minor]");
  EXPECT_EQ(refusal(R"({"step":"s","abi":[1,-1]})"),
            "the plugin's metadata is wrong: `abi` is not [major, minor]");
  EXPECT_EQ(refusal(R"({"abi":[1,0],"step":"s","params":[{"name":"x","type":"integer","default":"a"}]})"),
            "the plugin's metadata is wrong: the default of `x` takes an integer, not \"a\"");
}

TEST(Metadata, RefusesNamesThatNoPipelineCouldSay) {
  const auto wrong = [](const std::string &members) {
    return refusal(R"({"abi":[1,0],"step":"s",)" + members + "}");
  };
  EXPECT_EQ(wrong(R"("params":[{"name":"a b","type":"string"}])"),
            "the plugin's metadata is wrong: `a b` is no name: those are of a-z, 0-9 and _");
  EXPECT_EQ(wrong(R"("outputs":[{"name":"","type":"string"}])"),
            "the plugin's metadata is wrong: `` is no name: those are of a-z, 0-9 and _");
  EXPECT_EQ(wrong(R"("params":[{"name":"a","type":"string"},{"name":"a","type":"integer"}])"),
            "the plugin's metadata is wrong: `a` is declared twice");
  EXPECT_EQ(wrong(R"("params":[{"name":"a","type":"string"},{"name":"b","type":"string","aliases":["a"]}])"),
            "the plugin's metadata is wrong: `a` is declared twice");
}

TEST(Metadata, RefusesAFormThatIsYetToBeInvented) {
  EXPECT_EQ(refusal(R"({"pipe":2,"abi":[1,0],"step":"s"})"),
            "its metadata is of form 2, and this pipe reads form 1");
}

TEST(DescribeRange, SaysBoundsAsTheyAreWritten) {
  Param param;
  param.minimum = 0;
  param.maximum = 60'000;
  EXPECT_EQ(describe_range(param), "0 to 60000");
  param.type = Type::duration;
  EXPECT_EQ(describe_range(param), "0s to 1m");
  param.type = Type::size;
  param.maximum.reset();
  EXPECT_EQ(describe_range(param), "0 or more");
  EXPECT_EQ(as_written(param, 2 << 20), "2MiB");
}

TEST(Coerce, TextTakesWhatHasOneSpelling) {
  EXPECT_EQ(coerced(kText, "a"), "\"a\"");
  EXPECT_EQ(coerced(kText, 5), "\"5\"");
  EXPECT_EQ(coerced(kText, true), "\"true\"");
  EXPECT_EQ(coerced(kText, 1.10), "! takes a string, not the number 1.1; put it in quotes");
  EXPECT_EQ(coerced(kText, Value::List{"a"}), "! takes a string, not a list");
  EXPECT_EQ(coerced(kText, std::string("a\0b", 3)), "! takes a string, not \"a\\u0000b\"");
}

TEST(Coerce, IntegersHaveARange) {
  EXPECT_EQ(coerced(kInteger, 10), "10");
  EXPECT_EQ(coerced(kInteger, 11), "! takes 1 to 10, not 11");
  EXPECT_EQ(coerced(kInteger, 0), "! takes 1 to 10, not 0");
  EXPECT_EQ(coerced(kInteger, "5"), "! takes an integer, not \"5\"");
  EXPECT_EQ(coerced(kInteger, 5.0), "! takes an integer, not the number 5.0");
}

TEST(Coerce, NumbersTakeIntegers) {
  EXPECT_EQ(coerced(kNumber, 2), "2.0");
  EXPECT_EQ(coerced(kNumber, 2.5), "2.5");
  EXPECT_EQ(coerced(kNumber, "2"), "! takes a number, not \"2\"");
}

TEST(Coerce, BooleansAreNoText) {
  EXPECT_EQ(coerced(kBoolean, "true"), "! takes a boolean, not \"true\"");
}

TEST(Coerce, DurationsNeedAUnit) {
  EXPECT_EQ(coerced(kDuration, "2m"), "120000");
  EXPECT_EQ(coerced(kDuration, 30),
            "! takes a duration, not the integer 30; write it like \"30s\", \"500ms\" or \"1h30m\"");
  EXPECT_EQ(coerced(kDuration, "500ms"), "! takes 1s or more, not 500ms");
}

TEST(Coerce, SizesAreBytesOrHaveAUnit) {
  EXPECT_EQ(coerced(kSize, "10KiB"), "10240");
  EXPECT_EQ(coerced(kSize, 4096), "4096");
  EXPECT_EQ(coerced(kSize, "2MiB"), "! takes 1MiB or less, not 2MiB");
  EXPECT_EQ(coerced(kSize, "lots"),
            "! takes a size, not \"lots\"; write it like \"512M\", \"10MiB\" or 4096");
  EXPECT_EQ(coerced(kSize, -1),
            "! takes a size, not the integer -1; write it like \"512M\", \"10MiB\" or 4096");
}

TEST(Coerce, ChoicesSuggestTheClosest) {
  EXPECT_EQ(coerced(kChoice, "never"), "\"never\"");
  EXPECT_EQ(coerced(kChoice, "nevr"), "! takes one of: newer, never, not \"nevr\"; did you mean `never`?");
}

TEST(Coerce, PatternsAreOfTheWholeText) {
  EXPECT_EQ(coerced(kPattern, "abc"), "\"abc\"");
  EXPECT_EQ(coerced(kPattern, "abc1"), "! takes text that matches `[a-z]+`, not \"abc1\"");
}

TEST(Coerce, AScalarIsAListOfOne) {
  EXPECT_EQ(coerced(kList, "a"), "[\"a\"]");
  EXPECT_EQ(coerced(kList, Value::List{"a", 5}), "[\"a\",\"5\"]");
  EXPECT_EQ(coerced(kIntegers, Value::List{1, 0}), "! has a wrong item 2: it takes 1 or more, not 0");
  EXPECT_EQ(coerced(kList, Value::Map{}), "! takes a list of strings, not a map");
}

TEST(Coerce, MapsHoldWhatTheySay) {
  EXPECT_EQ(coerced(kMap, Value::Map{{"a", 1}}), "{\"a\":\"1\"}");
  EXPECT_EQ(coerced(kMap, Value::Map{{"a", 1.5}}),
            "! has a wrong value of `a`: it takes a string, not the number 1.5; put it in quotes");
  EXPECT_EQ(coerced(kMap, "a"), "! takes a map of strings, not \"a\"");
  EXPECT_EQ(coerced(kMaps, Value::Map{{"from", "a"}}), "[{\"from\":\"a\"}]");
}

TEST(Coerce, PathsAreNotEmpty) {
  EXPECT_EQ(coerced(kPath, ""), "! takes a path, not the empty text");
}

TEST(Coerce, NeverRepeatsASecret) {
  EXPECT_EQ(coerced(kSecret, "HUNTER2"), "! takes text that matches `[a-z]+`, not the one given");
  EXPECT_EQ(coerced(kSecret, 1.5), "! takes a string, not a number; put it in quotes");
}

TEST(Coerce, DoesNotRepeatAVeryLongValue) {
  EXPECT_EQ(coerced(kInteger, std::string(1000, 'x')), "! takes an integer, not a string of 1002 bytes");
}

TEST(CoerceText, ReadsWhatACommandLineHas) {
  EXPECT_EQ(coerced_text(kInteger, {"7"}), "7");
  EXPECT_EQ(coerced_text(kInteger, {"7x"}), "! takes an integer, not \"7x\"");
  EXPECT_EQ(coerced_text(kBoolean, {"true"}), "true");
  EXPECT_EQ(coerced_text(kBoolean, {"yes"}), "! takes a boolean, not \"yes\"");
  EXPECT_EQ(coerced_text(kNumber, {"2.5"}), "2.5");
  EXPECT_EQ(coerced_text(kText, {"1.10"}), "\"1.10\"");
  EXPECT_EQ(coerced_text(kSize, {"4096"}), "4096");
  EXPECT_EQ(coerced_text(kText, {"first", "last"}), "\"last\"");
}

TEST(CoerceText, ReadsListsOneItemATextOrAsJson) {
  EXPECT_EQ(coerced_text(kList, {"a,b", "c"}), "[\"a,b\",\"c\"]");
  EXPECT_EQ(coerced_text(kList, {"[\"a\",\"b\"]"}), "[\"a\",\"b\"]");
  EXPECT_EQ(coerced_text(kIntegers, {"1", "2"}), "[1,2]");
}

TEST(CoerceText, ReadsMapsAsPairsOrJson) {
  EXPECT_EQ(coerced_text(kMap, {"A=1=2", "B="}), "{\"A\":\"1=2\",\"B\":\"\"}");
  EXPECT_EQ(coerced_text(kMap, {"{\"A\":\"1\"}"}), "{\"A\":\"1\"}");
  EXPECT_EQ(coerced_text(kMap, {"A"}), "! takes key=value");
  EXPECT_EQ(coerced_text(kMaps, {"from=a,to=/b", "{\"from\":\"c\"}"}),
            "[{\"from\":\"a\",\"to\":\"/b\"},{\"from\":\"c\"}]");
}

}  // namespace
}  // namespace pipes
