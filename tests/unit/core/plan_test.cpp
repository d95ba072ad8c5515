#include "core/plan/plan.hpp"

#include "core/base/error.hpp"
#include "core/pipeline/pipeline.hpp"
#include "tests/unit/core/support.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace pipes {
namespace {

using State = NodeResult::State;
using Ids = std::vector<std::string>;
using test::Environment;

class Planning : public test::PlanTest {};

constexpr const char *kPull = "[[step]]\nuses = \"pull\"\nwith.image = \"a\"\n";

TEST_F(Planning, AStepFollowsTheOneAboveIt) {
  make(std::string(kPull) +
       "[[step]]\nid = \"one\"\nuses = \"shell\"\n[[step]]\nid = \"two\"\nuses = \"shell\"\n");
  EXPECT_EQ(needs("pull"), Ids{});
  EXPECT_EQ(needs("one"), Ids{"pull"});
  EXPECT_EQ(needs("two"), Ids{"one"});
}

TEST_F(Planning, NeedsMeansExactlyThose) {
  make(std::string(kPull) +
       "[[step]]\nid = \"one\"\nuses = \"shell\"\nneeds = []\n"
       "[[step]]\nid = \"two\"\nuses = \"shell\"\nneeds = [\"pull\"]\n");
  EXPECT_EQ(needs("one"), Ids{});
  EXPECT_EQ(needs("two"), Ids{"pull"});
}

TEST_F(Planning, ReadingAnOutputIsANeed) {
  make(std::string(kPull) +
       "[[step]]\nid = \"one\"\nuses = \"shell\"\nneeds = []\nwith.run = \"echo ${steps.pull.digest}\"\n"
       "[[step]]\nid = \"two\"\nuses = \"shell\"\nneeds = []\nif = \"steps.one.exit_code == 0\"\n");
  EXPECT_EQ(needs("one"), Ids{"pull"});
  EXPECT_EQ(needs("two"), Ids{"one"});
}

TEST_F(Planning, ForEachMakesKeyedInstances) {
  make(
      "[vars.images]\ndefault = [\"a:1\", \"b\"]\n"
      "[[step]]\nuses = \"pull\"\nfor_each = \"${vars.images}\"\nwith.image = \"r/${each.value}\"\n");
  EXPECT_EQ(values("pull[\"a:1\"]"),
            R"({"image":"r/a:1","policy":"newer","fallback":[],"tries":3,"wait":120000})");
  EXPECT_EQ(plan().nodes.at(1).key, "b");
}

TEST_F(Planning, ForEachOverATableHasKeysAndValues) {
  make(
      "[[step]]\nuses = \"pull\"\nfor_each = { x = { image = \"a\", n = 4 } }\n"
      "with.image = \"${each.key}/${each.value.image}\"\nwith.tries = \"${each.value.n}\"\n");
  EXPECT_EQ(values("pull[\"x\"]"),
            R"({"image":"x/a","policy":"newer","fallback":[],"tries":4,"wait":120000})");
}

TEST_F(Planning, AnInstanceWaitsForTheOneItReads) {
  make(
      "[[step]]\nuses = \"pull\"\nfor_each = [\"a\", \"b\"]\nwith.image = \"${each.key}\"\n"
      "[[step]]\nuses = \"tag\"\nfor_each = [\"b\", \"a\"]\nwith.image = "
      "\"${steps.pull[each.key].image}\"\nwith.as = \"x\"\n"
      "[[step]]\nid = \"end\"\nuses = \"shell\"\n");
  EXPECT_EQ(needs("tag[\"b\"]"), Ids{"pull[\"b\"]"});
  EXPECT_EQ(needs("end"), (Ids{"tag[\"b\"]", "tag[\"a\"]"}));
}

TEST_F(Planning, AStepWithoutInstancesHandsOnWhatItWaitedFor) {
  make(
      std::string(kPull) +
      "[[step]]\nid = \"none\"\nuses = \"shell\"\nfor_each = []\n[[step]]\nid = \"end\"\nuses = \"shell\"\n");
  EXPECT_EQ(needs("end"), Ids{"pull"});
}

TEST_F(Planning, AllToAllGoesThroughOneBarrier) {
  make(
      "[[step]]\nuses = \"pull\"\nfor_each = [\"a\", \"b\", \"c\"]\nwith.image = \"x\"\n"
      "[[step]]\nid = \"s\"\nuses = \"pull\"\nfor_each = [1, 2, 3]\nwith.image = \"x\"\n"
      "with.fallback = \"${steps.pull[*].image}\"\n");
  ASSERT_EQ(plan().nodes.size(), 7U);
  EXPECT_TRUE(plan().nodes[3].barrier);
  EXPECT_EQ(plan().nodes[3].needs.size(), 3U);
  EXPECT_EQ(plan().nodes[index("s[\"2\"]")].needs, std::vector<std::uint32_t>{3});
}

TEST_F(Planning, FinallyComesLastAndNeedsNoStep) {
  make(
      "[[finally]]\nid = \"f1\"\nuses = \"shell\"\nwith.run = \"${steps.pull.digest} ${run.status}\"\n"
      "[[finally]]\nid = \"f2\"\nuses = \"shell\"\n" +
      std::string(kPull));
  EXPECT_EQ(plan().nodes[0].id, "pull");
  EXPECT_TRUE(plan().nodes[1].finally);
  EXPECT_EQ(needs("f1"), Ids{});
  EXPECT_EQ(needs("f2"), Ids{"f1"});
  facts_.status = "failed";
  EXPECT_EQ(values("f1"), R"({"run":" failed"})");
}

TEST_F(Planning, TypesSurviveTemplates) {
  make(
      "[vars.n]\ndefault = 7\n[vars.l]\ndefault = [\"x\"]\n[[step]]\nuses = \"pull\"\nwith.image = "
      "\"i${vars.n}\"\n"
      "with.tries = \"${vars.n}\"\nwith.fallback = \"${vars.l}\"\n");
  EXPECT_EQ(values("pull"), R"({"image":"i7","policy":"newer","fallback":["x"],"tries":7,"wait":120000})");
}

TEST_F(Planning, OutputsBecomeParameters) {
  make(std::string(kPull) +
       "[[step]]\nuses = \"tag\"\nwith.image = \"${steps.pull.image}\"\nwith.as = \"${steps.pull.tags}\"\n");
  EXPECT_EQ(params("tag").unknown, (Ids{"image", "as"}));
  result("pull").state = State::changed;
  result("pull").outputs = {{"image", "x"}, {"tags", Value::List{"t"}}};
  EXPECT_EQ(values("tag"), R"({"image":"x","as":["t"]})");
}

TEST_F(Planning, AnOutputThatIsWrongIsAProblemInItsPlace) {
  make(std::string(kPull) +
       "[[step]]\nid = \"again\"\nuses = \"pull\"\nwith.image = \"b\"\nwith.policy = "
       "\"${steps.pull.digest}\"\n");
  result("pull").state = State::changed;
  result("pull").outputs = {{"digest", "sha"}};
  const auto problems = params("again").problems;
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].message,
            "`policy` of `again` takes one of: newer, missing, always, never, not \"sha\"");
  EXPECT_EQ(problems[0].place.line, 9);
}

TEST_F(Planning, ADurationKeepsItsUnitOnTheWay) {
  make(std::string(kPull) +
       "[[step]]\nid = \"again\"\nuses = \"pull\"\nwith.image = \"${steps.pull.took}\"\nwith.wait = "
       "\"${steps.pull.took}\"\n");
  result("pull").state = State::changed;
  result("pull").outputs = {{"took", 90000}};
  EXPECT_EQ(values("again"), R"({"image":"1m30s","policy":"newer","fallback":[],"tries":3,"wait":90000})");
}

TEST_F(Planning, WhatASkippedStepDidNotGiveIsLeftOut) {
  make(std::string(kPull) +
       "[[step]]\nid = \"again\"\nuses = \"pull\"\nwith.image = \"b\"\nwith.policy = "
       "\"${steps.pull.digest}\"\n"
       "[[step]]\nuses = \"tag\"\nwith.image = \"${steps.pull.image}\"\nwith.as = \"x\"\n");
  result("pull").state = State::skipped;
  EXPECT_EQ(values("again"), R"({"image":"b","policy":"newer","fallback":[],"tries":3,"wait":120000})");
  ASSERT_EQ(params("tag").problems.size(), 1U);
  EXPECT_EQ(params("tag").problems[0].message, "`image` of `tag` came to nothing");
}

TEST_F(Planning, ConditionsAreTrueFalseOrUnknown) {
  make("[vars.on]\ndefault = false\n" + std::string(kPull) +
       "[[step]]\nid = \"a\"\nuses = \"shell\"\nif = \"vars.on\"\n"
       "[[step]]\nid = \"b\"\nuses = \"shell\"\nif = \"steps.pull.digest == 'x'\"\n");
  EXPECT_EQ(plan().condition(index("pull"), results_, facts_), true);
  EXPECT_EQ(plan().condition(index("a"), results_, facts_), false);
  EXPECT_EQ(plan().condition(index("b"), results_, facts_), std::nullopt);
  result("pull").outputs = {{"digest", "x"}};
  EXPECT_EQ(plan().condition(index("b"), results_, facts_), true);
}

TEST_F(Planning, OutputsAreGivenAsFarAsTheyAreKnown) {
  make(std::string(kPull) + "[outputs]\nname = \"${pipeline.name}\"\ndigest = \"${steps.pull.digest}\"\n");
  EXPECT_EQ(to_json(plan().outputs(results_, facts_)), R"({"name":"p"})");
  result("pull").outputs = {{"digest", "d"}};
  EXPECT_EQ(to_json(plan().outputs(results_, facts_)), R"({"name":"p","digest":"d"})");
}

TEST_F(Planning, ReadsWhatAStepSaysOfItself) {
  make(
      "[pools]\nuplink = 2\n[[step]]\nid = \"p\"\nuses = \"pull\"\nretry = { attempts = 4, delay = \"2s\", "
      "factor = 1.5, jitter = false }\n"
      "timeout = \"5m\"\npool = \"uplink\"\nrollback = true\nwith = { image = \"a\" }\n");
  const Node &node = plan().nodes.at(0);
  EXPECT_EQ(node.retry.attempts, 4);
  EXPECT_EQ(node.retry.delay.count(), 2000);
  EXPECT_EQ(node.retry.factor, 1.5);
  EXPECT_FALSE(node.retry.jitter);
  EXPECT_EQ(node.timeout->count(), 300000);
  EXPECT_EQ(node.pool, "uplink");
  EXPECT_TRUE(node.rollback);
  EXPECT_EQ(plan().pools.at("uplink"), 2);
  EXPECT_EQ(node.plugin, "/plugins/pipe-pull.so");
}

TEST_F(Planning, AnAliasStandsForItsParameter) {
  make("[[step]]\nuses = \"pull\"\nwith.image = \"a\"\nwith.attempts = 5\n");
  EXPECT_NE(values("pull").find("\"tries\":5"), std::string::npos);
}

TEST_F(Planning, ASingleStepNeedsNoFile) {
  Plan single = single_step_plan("pull", registry_.find("pull"), {{"image", "x"}}, {"hunter2"});
  EXPECT_EQ(to_json(single.params(0, {}, {}).values), R"({"image":"x"})");
  EXPECT_EQ(single.condition(0, {}, {}), true);
  EXPECT_EQ(single.secret_values, Ids{"hunter2"});
}

class Variables : public test::PlanTest {
 protected:
  void pull(const std::string &variable, SecretNeed secrets = SecretNeed::needed) {
    make("[vars.v]\n" + variable + "\n[[step]]\nuses = \"pull\"\nwith.image = \"${vars.v}\"\n", secrets);
  }
  std::string image() { return to_text(*Value(params("pull").values).find("image")); }
};

TEST_F(Variables, SetWinsOverEnvironmentOverFileOverDefault) {
  const std::string variable = "default = \"default\"\nenv = \"PIPE_TEST_V\"";
  pull(variable);
  EXPECT_EQ(image(), "default");
  inputs_.var_files = {dir_.write("a.toml", "v = \"first\"\n"), dir_.write("b.toml", "v = \"file\"\n")};
  pull(variable);
  EXPECT_EQ(image(), "file");
  const Environment environment("PIPE_TEST_V", "environment");
  pull(variable);
  EXPECT_EQ(image(), "environment");
  inputs_.set = {{"v", "first"}, {"v", "set"}};
  pull(variable);
  EXPECT_EQ(image(), "set");
}

TEST_F(Variables, AnEmptyEnvironmentVariableIsNone) {
  const Environment environment("PIPE_TEST_V", "");
  pull("default = \"d\"\nenv = \"PIPE_TEST_V\"");
  EXPECT_EQ(image(), "d");
}

TEST_F(Variables, WithoutAValueIsAnErrorInARunOnly) {
  pull("description = \"what it is\"\nenv = \"PIPE_TEST_V\"");
  EXPECT_EQ(brief(), "2:7 missing-variable: variable `v` has no value\n");
  EXPECT_EQ(diagnostics_[0].help, "give it with --set v=… or the environment variable PIPE_TEST_V");
  pull("description = \"what it is\"", SecretNeed::placeholder);
  EXPECT_EQ(brief(), "");
}

TEST_F(Variables, AreCheckedWhereverTheyComeFrom) {
  inputs_.set = {{"v", "99"}};
  pull("type = \"int\"\nmax = 10");
  EXPECT_EQ(brief(), "0:0 wrong-value: --set v takes 10 or less, not 99\n");
  inputs_.set.clear();
  inputs_.var_files = {dir_.write("a.toml", "\nv = \"x\"\nw = 1\n")};
  pull("type = \"int\"\ndefault = 1");
  EXPECT_EQ(brief(),
            "2:5 wrong-value: variable `v` takes an integer, not \"x\"\n3:1 unknown-variable: the pipeline "
            "has no variable `w`\n");
}

TEST_F(Variables, UnknownNamesGetAHint) {
  inputs_.set = {{"vv", "1"}};
  pull("default = \"a\"");
  EXPECT_EQ(brief(), "0:0 unknown-variable: the pipeline has no variable `vv`\n");
  EXPECT_EQ(diagnostics_[0].help, "did you mean `v`?");
}

TEST_F(Variables, TakeListsItemByItem) {
  inputs_.set = {{"l", "a"}, {"l", "b"}};
  make(
      "[vars.l]\ntype = \"list<string>\"\n[[step]]\nuses = \"pull\"\nfor_each = \"${vars.l}\"\nwith.image = "
      "\"x\"\n");
  EXPECT_EQ(plan().nodes.size(), 2U);
}

TEST_F(Variables, AreListedForHelp) {
  make(
      "[pipeline]\nname = \"n\"\ndescription = \"d\"\n[vars.b]\ndefault = 1\ndescription = "
      "\"bb\"\n[vars.a]\nenv = \"E\"\n"
      "[secrets.s]\nfrom = { env = \"S\" }\n");
  const PipelineFacts facts = describe_pipeline(file_);
  EXPECT_EQ(facts.name + facts.description, "nd");
  ASSERT_EQ(facts.variables.size(), 2U);
  EXPECT_EQ(facts.variables[0].param.name, "b");
  EXPECT_EQ(facts.variables[0].param.help, "bb");
  EXPECT_TRUE(facts.variables[1].param.required);
  EXPECT_EQ(facts.secrets.at(0).from.at(0).name, "S");
}

TEST_F(Variables, AreNotListedFromAFileThatIsNoToml) {
  EXPECT_THROW(describe_pipeline(dir_.write("x.toml", "= 1")), Error);
  EXPECT_THROW(describe_pipeline((dir_.path() / "none.toml").string()), Error);
}

class Secrets : public test::PlanTest {
 protected:
  void pull(const std::string &from, SecretNeed secrets = SecretNeed::needed) {
    make("[secrets.s]\n" + from +
             "\n[[step]]\nuses = \"pull\"\nwith.image = \"i\"\nwith.password = \"${secrets.s}\"\n",
         secrets);
  }
  std::string password() {
    const Value values = params("pull").values;
    const Value *found = values.find("password");
    return found == nullptr ? "none" : found->as_string();
  }
};

TEST_F(Secrets, ComeFromTheFirstSourceThatHasOne) {
  const std::string file = dir_.write("secret", "from file\n");
  const std::string from =
      "from = [{ env = \"PIPE_TEST_S\" }, { file = \"" + file + "\" }, { command = [\"echo\", \"x\"] }]";
  pull(from);
  EXPECT_EQ(password(), "from file");
  EXPECT_EQ(plan().secret_values, Ids{"from file"});
  const Environment environment("PIPE_TEST_S", "from environment");
  pull(from);
  EXPECT_EQ(password(), "from environment");
}

TEST_F(Secrets, ComeFromACommandWithoutAShell) {
  pull("from = { command = [\"printf\", \"%s\\n\", \"a b; c\"] }");
  EXPECT_EQ(password(), "a b; c");
}

TEST_F(Secrets, AreNotAskedForWhenNotWanted) {
  const std::string proof = (dir_.path() / "proof").string();
  make("[secrets.s]\nfrom = { command = [\"touch\", \"" + proof + "\"] }\n" + std::string(kPull));
  EXPECT_TRUE(plan_.has_value());
  pull("from = { command = [\"touch\", \"" + proof + "\"] }", SecretNeed::placeholder);
  EXPECT_TRUE(plan_.has_value());
  EXPECT_FALSE(std::filesystem::exists(proof));
}

TEST_F(Secrets, ThatAreNowhereAreAnErrorUnlessOptional) {
  pull("from = [{ env = \"PIPE_TEST_S\" }, { file = \"/none/s\" }]");
  EXPECT_EQ(human(),
            "error[missing-secret]: secret `s` is nowhere to be found\n"
            " --> p.toml:2:10\n"
            "  |\n"
            "2 | [secrets.s]\n"
            "  |          ^\n"
            "  |\n"
            "note: looked in: the environment variable PIPE_TEST_S, the file /none/s\n"
            "help: `export PIPE_TEST_S=…`; a pipeline that can do without says `optional = true`\n\n");
  pull("from = { env = \"PIPE_TEST_S\" }\noptional = true");
  EXPECT_EQ(password(), "none");
}

TEST_F(Secrets, ThatAreNowhereAreAWarningWhereOneCanDoWithout) {
  pull("from = { env = \"PIPE_TEST_S\" }", SecretNeed::helpful);
  EXPECT_EQ(password(), "none");
  EXPECT_NE(human().find("warning[missing-secret]: secret `s` is nowhere to be found\n"), std::string::npos);
}

TEST_F(Secrets, ComeFromSomewhere) {
  for (const char *none :
       {"from = []", "from = { env = \"\" }", "from = [{ file = \"\" }]", "from = { command = [] }"}) {
    pull(none);
    const std::string said = human();
    EXPECT_TRUE(said.find("secret `s` does not say where it comes from") != std::string::npos ||
                said.find("a source of a secret is empty") != std::string::npos)
        << none;
  }
}

TEST_F(Secrets, SayWhenACommandFails) {
  pull("from = { command = [\"sh\", \"-c\", \"echo hunter2; exit 3\"] }");
  EXPECT_EQ(
      brief(),
      "2:10 missing-secret: secret `s` cannot be read from the command `sh`: it exited with status 3\n");
  pull("from = { command = [\"/none/program\"] }");
  EXPECT_EQ(brief(),
            "2:10 missing-secret: secret `s` cannot be read from the command `/none/program`: No such file "
            "or directory\n");
}

TEST_F(Secrets, MayGoIntoAnEnvironmentThatTakesThem) {
  const Environment environment("PIPE_TEST_S", "hunter2");
  make(
      "[secrets.s]\nfrom = { env = \"PIPE_TEST_S\" }\n[[step]]\nuses = \"run\"\nwith.image = \"i\"\n"
      "with.env = { PASSWORD = \"${secrets.s}\", PLAIN = \"true\" }\n");
  EXPECT_EQ(values("run"), R"({"image":"i","env":{"PASSWORD":"hunter2","PLAIN":"true"}})");
  EXPECT_EQ(plan().secret_values, Ids{"hunter2"});
}

TEST_F(Secrets, GoNowhereElse) {
  make(
      "[secrets.s]\nfrom = { env = \"S\" }\n[[step]]\nuses = \"run\"\nif = \"secrets.s == 'x'\"\nwith.image "
      "= \"a${secrets.s}\"\n"
      "with.labels = { x = \"${secrets.s}\" }\n[[step]]\nuses = \"shell\"\nwith.run = "
      "\"${secrets.s}\"\n[outputs]\no = \"${secrets.s}\"\n");
  EXPECT_EQ(brief(),
            "6:7 secret-leak: a secret may not be used here: it would show\n"
            "7:18 secret-leak: a secret may not go to `image` of `run`: it would show\n"
            "8:24 secret-leak: a secret may not go to `labels` of `run`: it would show\n"
            "11:15 secret-leak: a secret may not go to `run` of `shell`: it would show\n"
            "13:8 secret-leak: a secret may not be used here: it would show\n");
}

TEST_F(Secrets, AreNeverTakenFromArguments) {
  inputs_.set = {{"s", "hunter2"}};
  pull("from = { env = \"PIPE_TEST_S\" }\noptional = true");
  EXPECT_EQ(human().find("hunter2"), std::string::npos);
  EXPECT_EQ(diagnostics_.at(0).help,
            "`s` is a secret: it is read from where [secrets.s] says, never from arguments");
}

TEST_F(Secrets, InTheFileAreNotShown) {
  for (const std::string line :
       {"with.password = \"hunter2\"", "with.passwrd = \"hunter2\"", "with.token = \"hunter2\"",
        "password = \"hunter2", "with = { old = \"x\", password = \"hunter2\", zzz = 1 }",
        "with.password = [\"hunter2\"]"}) {
    make("[[step]]\nuses = \"pull\"\n" + line + "\n");
    EXPECT_FALSE(diagnostics_.empty()) << line;
    EXPECT_EQ(human().find("hunter2"), std::string::npos) << human();
    EXPECT_EQ(render_json(diagnostics_).find("hunter2"), std::string::npos);
  }
  make("[secrets.s]\nvalue = \"hunter2\"\n" + std::string(kPull));
  EXPECT_EQ(human().find("hunter2"), std::string::npos) << human();
  make("[secrets]\ns = \"hunter2\"\n" + std::string(kPull));
  EXPECT_EQ(human().find("hunter2"), std::string::npos) << human();
}

TEST_F(Secrets, InTheFileAreRedactedInTheRun) {
  make("[[step]]\nuses = \"pull\"\nwith.image = \"i\"\nwith.password = \"hunter2\"\n");
  EXPECT_EQ(brief(),
            "5:17 plain-secret: `password` of `pull` is a secret, and its value stands in the file\n");
  EXPECT_EQ(plan().secret_values, Ids{"hunter2"});
}

/// Figures: docs/design; here only that nothing is quadratic, with much slack for a busy machine.
class Scale : public test::PlanTest {
 protected:
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
  static constexpr double kSlower = 5;  // code that is watched, and not optimised
#else
  static constexpr double kSlower = 1;
#endif
  double cpu_seconds(const std::string &text) {
    const std::clock_t start = std::clock();
    make(text);
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  }
  static std::string list(int count) {
    std::string items;
    for (int i = 0; i < count; ++i) items += "\"i" + std::to_string(i) + "\",";
    return "[vars.l]\ndefault = [" + items + "]\n";
  }
};

TEST_F(Scale, TenThousandSteps) {
  std::string text;
  for (int i = 0; i < 10000; ++i) {
    text += "[[step]]\nid = \"s" + std::to_string(i) +
            "\"\nuses = \"pull\"\nwith.image = \"i\"\nwith.policy = \"missing\"\n";
    if (i > 0) text += "with.fallback = [\"${steps.s" + std::to_string(i - 1) + ".image}\"]\n";
  }
  const double seconds = cpu_seconds(text);
  EXPECT_EQ(plan().nodes.size(), 10000U);
  EXPECT_EQ(needs("s9999"), Ids{"s9998"});
  EXPECT_LT(seconds, 10 * kSlower);
}

TEST_F(Scale, AHundredThousandInstances) {
  const double seconds = cpu_seconds(
      list(100000) + "[[step]]\nuses = \"pull\"\nfor_each = \"${vars.l}\"\nwith.image = \"${each.value}\"\n");
  EXPECT_EQ(plan().nodes.size(), 100000U);
  EXPECT_LT(seconds, 20 * kSlower);
}

TEST_F(Scale, AllToAllIsLinear) {
  const double seconds =
      cpu_seconds(list(3000) +
                  "[[step]]\nuses = \"pull\"\nfor_each = \"${vars.l}\"\nwith.image = \"x\"\n"
                  "[[step]]\nid = \"s\"\nuses = \"shell\"\nfor_each = \"${vars.l}\"\n");
  EXPECT_EQ(plan().nodes.size(), 6001U);
  EXPECT_LT(seconds, 2 * kSlower);
}

TEST_F(Scale, ACircleOfTenThousandIsShownShort) {
  std::string text;
  for (int i = 0; i < 10000; ++i) {
    text += "[[step]]\nid = \"c" + std::to_string(i) + "\"\nuses = \"shell\"\nneeds = [\"c" +
            std::to_string((i + 1) % 10000) + "\"]\n";
  }
  EXPECT_LT(cpu_seconds(text), 10 * kSlower);
  ASSERT_EQ(diagnostics_.size(), 1U);
  EXPECT_EQ(diagnostics_[0].message,
            "steps wait for each other: c0 -> c1 -> c2 -> c3 -> (9992 more) -> c9996 -> c9997 -> c9998 -> "
            "c9999 -> c0");
}

TEST_F(Scale, ThousandsOfMistakesAreReportedInTime) {
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += "[[step]]\nid = \"step-number-" + std::to_string(i) +
            "\"\nuses = \"shell\"\nneeds = [\"step-numbr-" + std::to_string(i) + "\"]\n";
  }
  EXPECT_LT(cpu_seconds(text), 20 * kSlower);
  EXPECT_EQ(diagnostics_.size(), 5000U);
}

}  // namespace
}  // namespace pipes
