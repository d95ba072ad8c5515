// What a person reads when a pipeline file is wrong: whole texts, as `pipe check` prints them.
#include "tests/unit/core/support.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace pipes {
namespace {

class FileMistakes : public test::PlanTest {};

constexpr const char *kPull = "[[step]]\nuses = \"pull\"\nwith.image = \"a\"\n";

TEST_F(FileMistakes, AnOutputThatNoStepHas) {
  make(std::string(kPull) +
       "[[step]]\nuses = \"tag\"\nwith.image = \"${steps.pull.digestt}\"\nwith.as    = \"x\"\n");
  EXPECT_EQ(human(),
            R"(error[unknown-output]: step `tag` reads output `digestt`, which `pull` does not produce
 --> p.toml:7:28
  |
7 | with.image = "${steps.pull.digestt}"
  |                            ^^^^^^^ no such output
  |
note: outputs of pull 0.1.0: image (string), digest (string), size (size), took (duration), tags (list of strings)
help: did you mean `digest`?

)");
}

TEST_F(FileMistakes, AParameterThatThePluginDoesNotHave) {
  make("[[step]]\nuses = \"pull\"\nwith.image = \"a\"\nwith.polcy = \"never\"\n");
  EXPECT_EQ(human(), R"(error[unknown-parameter]: `pull` has no parameter `polcy`
 --> p.toml:5:6
  |
5 | with.polcy = "never"
  |      ^^^^^ not known here
  |
note: parameters of pull 0.1.0: image, policy, fallback, tries, wait, old, password
help: did you mean `policy`?

)");
}

TEST_F(FileMistakes, AParameterOutsideWith) {
  make(std::string(kPull) + "image = \"b\"\n");
  EXPECT_EQ(human(), R"(error[unknown-key]: [[step]] has no key `image`
 --> p.toml:5:1
  |
5 | image = "b"
  | ^^^^^ not known here
  |
note: keys are: id, uses, needs, if, for_each, retry, timeout, pool, rollback, with
help: what the plugin takes stands under `with`: with.image = …

)");
}

TEST_F(FileMistakes, AParameterThatIsMissing) {
  make("[[step]]\nuses = \"pull\"\n");
  EXPECT_EQ(human(), R"(error[missing-parameter]: step `pull` lacks `image`, which `pull` needs
 --> p.toml:3:8
  |
3 | uses = "pull"
  |        ^^^^^^
  |
note: image: Image to pull
help: add with.image = …

)");
}

TEST_F(FileMistakes, AParameterThatIsMistypedIsNotMissingAsWell) {
  make("[[step]]\nuses = \"pull\"\nwith.imgae = \"a\"\n");
  EXPECT_EQ(brief(), "4:6 unknown-parameter: `pull` has no parameter `imgae`\n");
  EXPECT_EQ(diagnostics_.at(0).help, "did you mean `image`?");
}

TEST_F(FileMistakes, AWithThatIsNoTableLacksNothing) {
  make("[[step]]\nuses = \"pull\"\nwith = 3\n");
  EXPECT_EQ(brief(), "4:8 wrong-type: `with` is a table, not an integer\n");
}

TEST_F(FileMistakes, AStepPluginThatThereIsNot) {
  make("[[step]]\nuses = \"pul\"\n[[step]]\nuses = \"/tmp/evil.so\"\n");
  EXPECT_EQ(human(), R"(error[unknown-plugin]: there is no step plugin `pul`
 --> p.toml:3:8
  |
3 | uses = "pul"
  |        ^^^^^
  |
help: did you mean `pull`?

error[unknown-plugin]: there is no step plugin `/tmp/evil.so`
 --> p.toml:5:8
  |
5 | uses = "/tmp/evil.so"
  |        ^^^^^^^^^^^^^^
  |
help: `pipe plugins` lists them and says where it looked

)");
}

TEST_F(FileMistakes, APluginThatCannotBeUsed) {
  const std::string path = dir_.write("pipe-bad.so", "text");
  registry_ = PluginRegistry({dir_.path()});
  make("[[step]]\nuses = \"bad\"\n");
  EXPECT_EQ(human(), R"(error[plugin]: plugin file pipe-bad.so is not a shared library
 --> p.toml:3:8
  |
3 | uses = "bad"
  |        ^^^^^
  |
help: plugins are ELF shared libraries named pipe-<step>.so

)");
}

TEST_F(FileMistakes, StepsThatWaitForEachOther) {
  make(
      "[[step]]\nid = \"a\"\nuses = \"shell\"\nneeds = [\"c\"]\n[[step]]\nid = \"b\"\nuses = \"shell\"\n"
      "[[step]]\nid = \"c\"\nuses = \"shell\"\nwith.run = \"${steps.b.stdout}\"\nneeds = []\n");
  EXPECT_EQ(human(), R"(error[cycle]: steps wait for each other: a -> c -> b -> a
 --> p.toml:5:10
  |
5 | needs = ["c"]
  |          ^^^ waits for `c`
  |
note: `a` needs `c` (line 5)
note: `c` reads an output of `b` (line 12)
note: `b` follows, being written below it, `a` (line 8)
help: write the steps in another order, or say with `needs` what each really waits for

)");
}

TEST_F(FileMistakes, OfTwoCirclesTheShortestIsShown) {
  make(
      "[[step]]\nid = \"a\"\nuses = \"shell\"\nneeds = [\"c\", \"b\"]\n[[step]]\nid = \"b\"\nuses = "
      "\"shell\"\n"
      "[[step]]\nid = \"c\"\nuses = \"shell\"\n");
  ASSERT_EQ(diagnostics_.size(), 1U);
  EXPECT_EQ(diagnostics_[0].message, "steps wait for each other: a -> b -> a");
}

TEST_F(FileMistakes, AStepThatWaitsForItself) {
  make("[[step]]\nuses = \"shell\"\nwith.run = \"${steps.shell.stdout}\"\n");
  EXPECT_EQ(brief(), "4:15 cycle: step `shell` waits for itself\n");
}

TEST_F(FileMistakes, IndependentCirclesAreAllShown) {
  make(
      "[[step]]\nid = \"a\"\nuses = \"shell\"\nneeds = [\"b\"]\n[[step]]\nid = \"b\"\nuses = \"shell\"\n"
      "[[step]]\nid = \"c\"\nuses = \"shell\"\nneeds = [\"d\"]\n[[step]]\nid = \"d\"\nuses = \"shell\"\n");
  EXPECT_EQ(brief(),
            "5:10 cycle: steps wait for each other: a -> b -> a\n"
            "12:10 cycle: steps wait for each other: c -> d -> c\n");
}

TEST_F(FileMistakes, AMistakeInTextOfSeveralLines) {
  make(
      "[[step]]\nuses = \"shell\"\nwith.run = \"\"\"\necho one\n  echo ${vars.two} # "
      "${vars.three}\n\"\"\"\n");
  EXPECT_EQ(human(), R"(error[unknown-name]: there is no variable `two`
 --> p.toml:6:15
  |
6 |   echo ${vars.two} # ${vars.three}
  |               ^^^
  |
help: declare it: [vars.two]

error[unknown-name]: there is no variable `three`
 --> p.toml:6:29
  |
6 |   echo ${vars.two} # ${vars.three}
  |                             ^^^^^
  |
help: declare it: [vars.three]

)");
}

TEST_F(FileMistakes, ManyAtOnceInTheOrderOfTheFile) {
  make_exactly(R"x(schema = 2
[pipelin]
[vars.port]
default = 99
max = 10
[vars.x]
type = "strin"
default = "a"
[[step]]
uses = "pull"
id = "1st"
with.image = "a"
with.tries = 11
with.wait = 5
with.policy = "nver"
timeout = "soon"
retry = { atempts = 3 }
pool = "p"
[[step]]
uses = "tag"
id = "pull"
needs = ["pul"]
with.image = "${vars.prt}"
with.as = "${steps.pull.size}"
if = "len(vars.x)"
[[step]]
uses = "tag"
id = "pull"
with.image = ["a"]
with.as = "x"
)x");
  EXPECT_EQ(brief(), R"(1:10 schema: this pipe reads files of `schema = 1`
2:2 unknown-key: the file has no key `pipelin`
4:11 wrong-value: the default of variable `port` takes 10 or less, not 99
7:8 wrong-value: there is no type `strin`
11:6 bad-name: `1st` is no name for a step
13:14 wrong-value: `tries` of `pull` takes 1 to 10, not 11
14:13 wrong-value: `wait` of `pull` takes a duration, not the integer 5; write it like "30s", "500ms" or "1h30m"
15:15 wrong-value: `policy` of `pull` takes one of: newer, missing, always, never, not "nver"; did you mean `never`?
16:11 wrong-value: `timeout` takes a duration, not "soon"; write it like "30s", "500ms" or "1h30m"
17:11 unknown-key: `retry` has no key `atempts`
18:8 unknown-pool: there is no pool `p`
22:10 unknown-step: there is no step `pul`
23:22 unknown-name: there is no variable `prt`
24:14 cycle: step `pull` waits for itself
24:25 unknown-output: step `pull` reads output `size`, which `tag` does not produce
25:6 wrong-type: `if` takes true or false, but this is an integer
28:6 duplicate-id: two steps have the id `pull`
29:14 wrong-value: `image` of `tag` takes a string, not a list
)");
}

TEST_F(FileMistakes, ABoundOfAVariableIsAWholeNumberThatFitsAnInteger) {
  make_exactly(R"(schema = 1
[vars.share]
type = "number"
default = 1.0
min = 0.5
max = 1e300
[vars.fits]
type = "number"
default = 1.0
max = 1e15
[[step]]
uses = "pull"
with.image = "a"
)");
  EXPECT_EQ(brief(),
            "5:7 wrong-value: `min` is a whole number\n"
            "6:7 wrong-value: `max` is a whole number\n");
}

TEST_F(FileMistakes, EachItemOfAListHasItsOwnPlace) {
  make(
      "[[step]]\nuses = \"run\"\nwith.image = \"i\"\nwith.ports = [\n  \"a\",\n  1.5,\n]\nwith.env.A = "
      "2.5\n");
  EXPECT_EQ(
      brief(),
      "7:3 wrong-value: item 2 of `ports` of `run` takes a string, not the number 1.5; put it in quotes\n"
      "9:14 wrong-value: `A` in `env` of `run` takes a string, not a number; put it in quotes\n");
}

TEST_F(FileMistakes, TypesOfOutputsAreChecked) {
  make(std::string(kPull) +
       "[[step]]\nid = \"b\"\nuses = \"pull\"\nwith.image = \"${steps.pull.tags}\"\n"
       "with.tries = \"${steps.pull.digest}\"\nwith.wait = \"${steps.pull.size}\"\n");
  EXPECT_EQ(brief(),
            "8:14 wrong-type: `image` of `pull` takes a string, but this will be a list\n"
            "9:14 wrong-type: `tries` of `pull` takes an integer, but this will be a string\n"
            "10:13 wrong-type: `wait` of `pull` takes a duration, but this will be an integer\n");
}

TEST_F(FileMistakes, ForEachMustBeKnownBefore) {
  make(std::string(kPull) +
       "[[step]]\nid = \"b\"\nuses = \"shell\"\nfor_each = \"${steps.pull.tags}\"\n"
       "[[step]]\nid = \"c\"\nuses = \"shell\"\nfor_each = \"text\"\n"
       "[[step]]\nid = \"d\"\nuses = \"shell\"\nfor_each = [\"x\", \"y\", \"x\"]\n");
  EXPECT_EQ(brief(),
            "8:15 late-for-each: for_each must be known before anything runs; an output is not\n"
            "12:12 for-each: for_each takes a list or a map, not a string\n"
            "16:23 for-each: for_each has \"x\" twice\n");
}

TEST_F(FileMistakes, InstancesAreNamed) {
  make(
      "[[step]]\nuses = \"pull\"\nfor_each = [\"a\"]\nwith.image = \"x\"\n"
      "[[step]]\nid = \"b\"\nuses = \"shell\"\nwith.run = \"${steps.pull.image}\"\n"
      "[[step]]\nid = \"c\"\nuses = \"shell\"\nwith.run = \"${steps.b['k'].stdout}\"\n"
      "[[step]]\nid = \"d\"\nuses = \"shell\"\nwith.run = \"${steps.pull['aa'].image} ${each.key}\"\n");
  EXPECT_EQ(brief(),
            "9:21 which-instance: step `pull` has for_each: say which of its instances\n"
            "13:22 no-instances: step `b` has no for_each, and so no instances to choose from\n"
            "17:15 no-instance: step `pull` has no instance \"aa\"\n"
            "17:41 unknown-name: `each` stands only in a step that has for_each\n");
}

TEST_F(FileMistakes, AValueOfAnInstanceIsCheckedOnce) {
  make(
      "[vars.n]\ndefault = [1, 50, 60]\n[[step]]\nuses = \"pull\"\nfor_each = \"${vars.n}\"\nwith.image = "
      "\"x\"\n"
      "with.tries = \"${each.value}\"\n");
  EXPECT_EQ(brief(), "8:14 wrong-value: `tries` of `pull[\"50\"]` takes 1 to 10, not 50\n");
}

TEST_F(FileMistakes, NamesThatMeanNothing) {
  make(
      "[vars.x]\ndefault = 1\n[[step]]\nuses = \"shell\"\nwith.run = \"${x} ${env.HOME} ${run.status} "
      "${step.a.b} ${vars}\"\n");
  EXPECT_EQ(brief(),
            "6:15 unknown-name: `x` names nothing here\n"
            "6:20 unknown-name: `env` names nothing here\n"
            "6:36 late-status: run.status is known only in [[finally]] and [outputs]\n"
            "6:46 unknown-name: `step` names nothing here\n"
            "6:58 unknown-name: expected the name of a variable after `vars`\n");
  EXPECT_EQ(diagnostics_[0].help, "did you mean `vars.x`?");
  EXPECT_EQ(diagnostics_[1].help,
            "an environment variable is read only where a variable names it: [vars.x] env = \"X\"");
  EXPECT_EQ(diagnostics_[3].help, "did you mean `steps`?");
}

TEST_F(FileMistakes, FixedKeysTakeNoTemplates) {
  make("[vars.x]\ndefault = \"${vars.y}\"\n[[step]]\nuses = \"${vars.x}\"\n");
  EXPECT_EQ(brief(),
            "3:11 no-template: a default is fixed: ${…} cannot stand here\n"
            "5:8 no-template: `uses` is fixed: ${…} cannot stand here\n");
}

TEST_F(FileMistakes, ADeprecatedParameterIsAWarning) {
  make("[[step]]\nuses = \"pull\"\nwith.image = \"a\"\nwith.old = \"b\"\n");
  EXPECT_TRUE(plan_.has_value());
  EXPECT_EQ(summarize(diagnostics_), "0 errors, 1 warning");
  EXPECT_EQ(diagnostics_.at(0).help, "use `image`");
}

TEST_F(FileMistakes, BrokenToml) {
  make("[[step]]\nuses = pull\n");
  EXPECT_EQ(human(), R"(error[toml]: invalid TOML: could not determine value type
 --> p.toml:3:8
  |
3 | uses = pull
  |        ^
  |
help: text needs quotes: key = "text"

)");
}

TEST_F(FileMistakes, AControlCharacterInText) {
  make("[[step]]\nuses = \"a\x1b\"\n");
  EXPECT_EQ(brief(), "3:10 toml: invalid TOML: this text has a control character in it\n");
  make("[[step]]\nuses = \"a\n");
  EXPECT_EQ(brief(), "3:10 toml: invalid TOML: this text has no closing quote on its line\n");
}

TEST_F(FileMistakes, ATableOverSeveralLines) {
  make("[[step]]\nuses = \"run\"\nwith = {\n  image = \"a\"\n}\n");
  EXPECT_EQ(brief(), "4:9 toml: invalid TOML: a table in braces ends on the line where it begins\n");
}

TEST_F(FileMistakes, AKeyOfManyParts) {
  std::string key = "a";
  for (int i = 0; i < 200000; ++i) key += ".a";
  make(key + " = 1\n");
  EXPECT_EQ(brief(), "2:1 toml: this key has more than 1000 parts\n");
}

TEST_F(FileMistakes, ValuesNestedDeeply) {
  make("x = " + std::string(100, '[') + std::string(100, ']') + "\n");
  EXPECT_EQ(brief(), "2:68 toml: this is nested deeper than 64 levels\n");
}

TEST_F(FileMistakes, AnEmptyFile) {
  make_exactly("");
  EXPECT_EQ(brief(),
            "1:1 schema: the file does not say which format it has\n"
            "1:1 no-step: the pipeline has no step\n");
}

TEST_F(FileMistakes, AFileThatIsNotThere) {
  const PlanOutcome outcome = make_plan("/none/p.toml", {}, registry_, SecretNeed::needed);
  EXPECT_EQ(render_human(outcome.diagnostics, false),
            "error[file]: cannot read /none/p.toml: there is no such file\n"
            "help: check the path; the pipelines that come with pipe are in PREFIX/share/pipe/pipelines\n\n");
}

TEST_F(FileMistakes, AFolder) {
  const PlanOutcome outcome = make_plan("/", {}, registry_, SecretNeed::needed);
  EXPECT_EQ(outcome.diagnostics.at(0).message, "cannot read /: it is a folder");
}

/// A file of more steps than are parsed at once reads as a short one does.
TEST_F(FileMistakes, PlacesAreRightInALongFile) {
  std::string text =
      "[vars.doc]\ndefault = \"\"\"\n[[step]]\n\"\"\"\nchoices = [\n\"\",\n'''[[step]]\n''']\n";
  for (int i = 0; i < 200; ++i)
    text += "[[step]] # \"\nid = \"s" + std::to_string(i) + "\"\nuses = \"shell\"\n";
  make(text + "nope = 1\n[outputs]\no = \"${vars.y}\"\n");
  EXPECT_EQ(brief(),
            "610:1 unknown-key: [[step]] has no key `nope`\n"
            "612:13 unknown-name: there is no variable `y`\n");
}

TEST_F(FileMistakes, ATableTwiceInALongFile) {
  std::string text = "[outputs]\na = 1\n";
  for (int i = 0; i < 100; ++i) text += "[[step]]\nid = \"s" + std::to_string(i) + "\"\nuses = \"shell\"\n";
  make(text + "[outputs]\nb = 1\n");
  EXPECT_EQ(brief(), "304:1 toml: invalid TOML: cannot redefine existing table 'outputs'\n");
}

}  // namespace
}  // namespace pipes
