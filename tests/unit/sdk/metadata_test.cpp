// What a declaration becomes in the section `pipemeta`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/plugin.hpp>

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace {
using namespace pipes::sdk;
using nlohmann::json;

struct Params {
  std::string text;
  std::int64_t integer = 3;
  double number = 0;
  bool boolean = false;
  Secret secret;
  Path path;
  Duration duration{};
  Bytes size{};
  std::optional<std::string> maybe;
  std::vector<std::string> texts;
  std::vector<std::int64_t> integers;
  std::map<std::string, std::string> map;
  std::map<std::string, Secret> secrets;
  std::vector<std::map<std::string, std::string>> maps;
};
struct Outputs {
  std::string digest;
  std::vector<std::string> images;
  bool changed = false;
};

constexpr Schema kAll{
    "all-types", "1.2.3", "Quote \", backslash \\, line\nend, tab\t, ü",
    std::tuple{field("text", &Params::text, {.help = "h", .pattern = "^[a-z]+\\d$"}),
               field("integer", &Params::integer, {.help = "h", .min = -5, .max = 10, .fallback = "3"}),
               field("number", &Params::number, {.help = "h", .fallback = "1.5"}),
               field("boolean", &Params::boolean, {.help = "h", .fallback = "false"}),
               field("secret", &Params::secret, {.help = "h", .fallback = "null"}),
               field("path", &Params::path, {.help = "h", .format = "folder", .since = "1.1.0"}),
               field("duration", &Params::duration, {.help = "h", .fallback = "\"2m\""}),
               field("size", &Params::size, {.help = "h", .fallback = "1048576"}),
               field("maybe", &Params::maybe,
                     {.help = "h",
                      .choices = "one two",
                      .examples = "a b\nc",
                      .aliases = "perhaps",
                      .deprecated = "use text"}),
               field("texts", &Params::texts, {.help = "h", .fallback = "[\"a\"]"}),
               field("integers", &Params::integers, {.help = "h"}),
               field("map", &Params::map, {.help = "h", .fallback = "{}"}),
               field("secrets", &Params::secrets, {.help = "h", .fallback = "{}"}),
               field("maps", &Params::maps, {.help = "h", .fallback = "[]"})},
    std::tuple{field("digest", &Outputs::digest, {.help = "d", .format = "digest"}),
               field("images", &Outputs::images, {.help = "i"}),
               field("changed", &Outputs::changed, {.help = "c"})}};
constexpr Schema kBare{"bare", "0.1.0", "Nothing in, nothing out", std::tuple{}, std::tuple{}};

struct None {};
void operation(Run &, const Params &) {}
void bare(Run &, const None &) {}

using All = Step<kAll, Params, operation, operation, operation>;
using Bare = Step<kBare, None, nullptr, bare, nullptr>;

template <class Plugin>
json metadata() {
  constexpr auto text = Plugin::metadata();
  EXPECT_EQ(text.back(), '\0');
  return json::parse(text.begin(), text.end() - 1);
}

json param(const std::string &name) {
  const json all = metadata<Plugin<All>>();
  for (const json &p : all["params"])
    if (p["name"] == name) return p;
  throw std::out_of_range(name);
}

TEST(Metadata, NamesTheStepAndTheContractItWasBuiltWith) {
  const json m = metadata<Plugin<All>>();
  EXPECT_EQ(m["pipe"], 1);
  EXPECT_EQ(m["abi"], json({PIPE_ABI_MAJOR, PIPE_ABI_MINOR}));
  EXPECT_EQ(m["step"], "all-types");
  EXPECT_EQ(m["version"], "1.2.3");
}

TEST(Metadata, EscapesWhatJsonCannotHoldAndKeepsUtf8) {
  EXPECT_EQ(metadata<Plugin<All>>()["help"], "Quote \", backslash \\, line\nend, tab\t, ü");
}

TEST(Metadata, ListsOnlyTheOperationsThereAre) {
  EXPECT_EQ(metadata<Plugin<All>>()["operations"], json({"plan", "run", "undo"}));
  EXPECT_EQ(metadata<Plugin<Bare>>()["operations"], json({"run"}));
}

TEST(Metadata, NamesEveryType) {
  EXPECT_EQ(param("text")["type"], "string");
  EXPECT_EQ(param("integer")["type"], "integer");
  EXPECT_EQ(param("number")["type"], "number");
  EXPECT_EQ(param("boolean")["type"], "boolean");
  EXPECT_EQ(param("secret")["type"], "string");
  EXPECT_EQ(param("path")["type"], "path");
  EXPECT_EQ(param("duration")["type"], "duration");
  EXPECT_EQ(param("size")["type"], "size");
  EXPECT_EQ(param("maybe")["type"], "string");
  EXPECT_EQ(param("map")["type"], "map");
}

TEST(Metadata, NamesWhatListsAndMapsHold) {
  EXPECT_EQ(param("texts")["item"], "string");
  EXPECT_EQ(param("integers")["item"], "integer");
  EXPECT_EQ(param("map")["item"], "string");
  EXPECT_EQ(param("maps")["item"], "map");
  EXPECT_FALSE(param("text").contains("item"));
}

TEST(Metadata, MarksSecretsInContainersToo) {
  EXPECT_EQ(param("secret")["secret"], true);
  EXPECT_EQ(param("secrets")["secret"], true);
  EXPECT_FALSE(param("text").contains("secret"));
}

TEST(Metadata, RequiresWhatIsNeitherOptionalNorHasADefault) {
  EXPECT_EQ(param("text")["required"], true);
  EXPECT_EQ(param("integers")["required"], true);
  EXPECT_FALSE(param("maybe").contains("required"));
  EXPECT_FALSE(param("texts").contains("required"));
}

TEST(Metadata, KeepsTheTypeOfADefault) {
  EXPECT_EQ(param("integer")["default"], 3);
  EXPECT_EQ(param("number")["default"], 1.5);
  EXPECT_EQ(param("boolean")["default"], false);
  EXPECT_EQ(param("duration")["default"], "2m");
  EXPECT_EQ(param("texts")["default"], json({"a"}));
  EXPECT_TRUE(param("secret")["default"].is_null());
  EXPECT_FALSE(param("text").contains("default"));
}

TEST(Metadata, HasTheLimits) {
  EXPECT_EQ(param("integer")["minimum"], -5);
  EXPECT_EQ(param("integer")["maximum"], 10);
  EXPECT_EQ(param("text")["pattern"], "^[a-z]+\\d$");
  EXPECT_EQ(param("maybe")["choices"], json({"one", "two"}));
}

TEST(Metadata, HasWhatPeopleRead) {
  EXPECT_EQ(param("path")["format"], "folder");
  EXPECT_EQ(param("path")["since"], "1.1.0");
  EXPECT_EQ(param("maybe")["examples"], json({"a b", "c"}));
  EXPECT_EQ(param("maybe")["aliases"], json({"perhaps"}));
  EXPECT_EQ(param("maybe")["deprecated"], "use text");
}

TEST(Metadata, DescribesOutputs) {
  const json outputs = metadata<Plugin<All>>()["outputs"];
  ASSERT_EQ(outputs.size(), 3U);
  EXPECT_EQ(outputs[0], json({{"name", "digest"}, {"type", "string"}, {"format", "digest"}, {"help", "d"}}));
  EXPECT_EQ(outputs[1]["item"], "string");
  EXPECT_EQ(outputs[2]["type"], "boolean");
}

TEST(Metadata, OfSeveralStepsIsAnArray) {
  const json m = metadata<Plugin<All, Bare>>();
  ASSERT_EQ(m.size(), 2U);
  EXPECT_EQ(m[0]["step"], "all-types");
  EXPECT_EQ(m[1]["step"], "bare");
  EXPECT_STREQ((Plugin<All, Bare>::kSteps[1]->name), "bare");
  EXPECT_EQ((Plugin<All, Bare>::kSteps[2]), nullptr);
}

TEST(Metadata, WritesTheLimitsOfAnInteger) {
  char text[64] = {};
  render::Out out{text};
  out.number(std::numeric_limits<long long>::min());
  out.raw(' ');
  out.number(std::numeric_limits<long long>::max());
  EXPECT_STREQ(text, "-9223372036854775808 9223372036854775807");
}

TEST(Metadata, KnowsADefaultThatIsNotJsonOfItsType) {
  EXPECT_TRUE(render::fits("string", "\"newer\""));
  EXPECT_FALSE(render::fits("string", "newer"));
  EXPECT_FALSE(render::fits("boolean", "no"));
  EXPECT_FALSE(render::fits("integer", "\"3\""));
  EXPECT_FALSE(render::fits("list", "a"));
  EXPECT_FALSE(render::fits("map", "[]"));
  EXPECT_TRUE(render::fits("duration", "\"2m\""));
}

TEST(Metadata, KnowsANameThatCannotBeWrittenInAPipeline) {
  EXPECT_TRUE(render::is_name("ca_file", '_'));
  EXPECT_FALSE(render::is_name("ca-file", '_'));
  EXPECT_FALSE(render::is_name("File", '_'));
  EXPECT_FALSE(render::is_name("1st", '_'));
  EXPECT_FALSE(render::is_name("", '_'));
}

}  // namespace
