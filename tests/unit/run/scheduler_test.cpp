#include "core/run/scheduler.hpp"

#include "core/plan/plan_impl.hpp"
#include "tests/unit/run/fakes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pipes {
namespace {

using test::Script;
using testing::ElementsAre;
using testing::IsEmpty;
using State = NodeResult::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() {
    plan.name = "p";
    plan.impl = std::make_unique<Plan::Impl>();
    plan.impl->fixed.emplace();
    schema.has_plan = schema.has_undo = true;
    schema.outputs = {{"digest", "", Type::string}, {"count", "", Type::integer}};
  }

  /// Adds a step that needs the others of those names; gives its number.
  std::uint32_t add(const std::string &id, const std::vector<std::uint32_t> &needs = {}) {
    Node node;
    node.id = node.step = id;
    node.uses = "x";
    node.schema = &schema;
    node.needs = needs;
    plan.nodes.push_back(std::move(node));
    return static_cast<std::uint32_t>(plan.nodes.size() - 1);
  }
  std::uint32_t add_finally(const std::string &id, const std::vector<std::uint32_t> &needs = {}) {
    const std::uint32_t node = add(id, needs);
    plan.nodes[node].finally = true;
    return node;
  }
  RunOutcome run() { return Scheduler(plan, runner, clock, events, memory, options).run(); }
  static Script failing(Status status, milliseconds retry_after = {}) {
    return {.says = {FailReport{status, "it broke", "mend it", retry_after}}, .status = status};
  }

  Plan plan;
  StepSchema schema;
  test::FakeClock clock;
  test::FakeRunner runner{clock};
  test::FakeMemory memory;
  test::Recorder events;
  RunOptions options{
      .operation = Operation::run, .jobs = 4, .id = "r", .grace = {}, .random = [] { return 0.0; }};
};

TEST_F(SchedulerTest, RunsStepsAfterWhatTheyNeed) {
  const auto a = add("a"), b = add("b", {a});
  add("c", {a, b});
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "start b", "start c"));
  EXPECT_EQ(outcome.status, "ok");
  EXPECT_EQ(outcome.counts.changed, 3);
}

TEST_F(SchedulerTest, RunsIndependentStepsTogetherUpToJobs) {
  for (const char *id : {"a", "b", "c", "d", "e"}) add(id);
  options.jobs = 3;
  run();
  EXPECT_EQ(runner.most_at_once, 3U);
}

TEST_F(SchedulerTest, StartsInTheOrderOfTheFile) {
  const auto slow = add("slow");
  add("after-slow", {slow});
  add("b");
  add("c");
  options.jobs = 1;
  run();
  EXPECT_THAT(runner.history, ElementsAre("start slow", "start after-slow", "start b", "start c"));
}

TEST_F(SchedulerTest, HoldsAPoolToItsSize) {
  plan.pools["uplink"] = 1;
  for (const char *id : {"a", "b", "c"}) plan.nodes[add(id)].pool = "uplink";
  add("free");
  run();
  EXPECT_EQ(runner.most_at_once, 2U);
  EXPECT_EQ(events.count(Event::Type::step_ended), 4);
}

TEST_F(SchedulerTest, PassesThroughABarrierWithoutAProcess) {
  const auto a = add("a"), b = add("b"), wall = add("wall", {a, b});
  plan.nodes[wall].barrier = true;
  add("c", {wall});
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "start b", "start c"));
  EXPECT_EQ(outcome.counts.changed, 3);
}

TEST_F(SchedulerTest, CountsUpToDateAsUnchanged) {
  runner.scripts[add("a")] = {{.says = {VerdictReport{Verdict::up_to_date, "as it was"}}}};
  const RunOutcome outcome = run();
  EXPECT_EQ(outcome.counts, (Counts{.unchanged = 1}));
  EXPECT_EQ(events.end_of("a").summary, "as it was");
}

TEST_F(SchedulerTest, AFailureStartsNothingNewAndLetsRunningStepsEnd) {
  const auto bad = add("bad");
  const auto slow = add("slow");
  add("after-bad", {bad});
  add("after-slow", {slow});
  runner.scripts[bad] = {failing(Status::denied)};
  runner.scripts[slow] = {{.takes = seconds(5)}};
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start bad", "start slow"));
  EXPECT_EQ(outcome.status, "failed");
  EXPECT_EQ(outcome.counts, (Counts{.changed = 1, .failed = 1, .not_run = 2}));
  ASSERT_TRUE(events.end_of("bad").failure);
  EXPECT_EQ(events.end_of("bad").failure->message, "it broke");
  EXPECT_EQ(events.end_of("bad").failure->hint, "mend it");
}

TEST_F(SchedulerTest, FinallyRunsAfterFailureEachAfterTheOther) {
  const auto bad = add("bad");
  add("never", {bad});
  const auto first = add_finally("f1", {bad});
  add_finally("f2", {first});
  runner.scripts[bad] = {failing(Status::denied)};
  runner.scripts[first] = {failing(Status::denied)};
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start bad", "start f1", "start f2"));
  EXPECT_EQ(outcome.counts.failed, 2);
}

TEST_F(SchedulerTest, AFailureInFinallyFailsTheRun) {
  add("good");
  runner.scripts[add_finally("f")] = {failing(Status::denied)};
  EXPECT_EQ(run().status, "failed");
}

TEST_F(SchedulerTest, RetriesTransientFailuresWithGrowingDelays) {
  const auto a = add("a");
  plan.nodes[a].retry = {.attempts = 4, .delay = seconds(2), .max_delay = seconds(30), .factor = 2.0};
  runner.scripts[a] = {failing(Status::transient), failing(Status::timeout), failing(Status::transient), {}};
  const RunOutcome outcome = run();
  EXPECT_EQ(outcome.status, "ok");
  EXPECT_EQ(outcome.counts.retried, 3);
  std::vector<std::int64_t> delays;
  for (const Event &e : events.events) {
    if (e.type == Event::Type::step_retried) delays.push_back(e.elapsed.count());
  }
  EXPECT_THAT(delays, ElementsAre(2000, 4000, 8000));
  EXPECT_EQ(events.end_of("a").attempt, 4);
}

TEST_F(SchedulerTest, GivesUpAfterTheLastAttempt) {
  const auto a = add("a");
  plan.nodes[a].retry.attempts = 2;
  runner.scripts[a] = {failing(Status::transient)};
  EXPECT_EQ(run().counts, (Counts{.failed = 1, .retried = 1}));
}

TEST_F(SchedulerTest, NeverRetriesWhatAnotherTryCannotMend) {
  for (const Status status :
       {Status::invalid, Status::not_found, Status::denied, Status::mismatch, Status::io, Status::internal}) {
    EXPECT_FALSE(worth_retrying(status)) << status_name(status);
  }
  const auto a = add("a");
  plan.nodes[a].retry.attempts = 5;
  runner.scripts[a] = {failing(Status::mismatch)};
  run();
  EXPECT_THAT(runner.history, ElementsAre("start a"));
}

TEST_F(SchedulerTest, LeavesItsPlaceToOthersWhileItWaitsForARetry) {
  const auto a = add("a");
  add("b");
  options.jobs = 1;
  plan.nodes[a].retry = {.attempts = 2, .delay = seconds(10)};
  runner.scripts[a] = {failing(Status::transient), {}};
  run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "start b", "start a"));
}

TEST_F(SchedulerTest, AFailureElsewhereEndsTheWaitForARetry) {
  const auto a = add("a"), b = add("b");
  plan.nodes[a].retry = {.attempts = 9, .delay = seconds(60)};
  runner.scripts[a] = {failing(Status::transient)};
  runner.scripts[b] = {failing(Status::denied)};
  runner.scripts[b].front().takes = seconds(1);
  const RunOutcome outcome = run();
  EXPECT_EQ(outcome.counts.failed, 2);
  EXPECT_THAT(runner.history, ElementsAre("start a", "start b"));
}

TEST_F(SchedulerTest, ATimeoutAsksThenTerminatesThenKills) {
  const auto a = add("a");
  plan.nodes[a].timeout = seconds(30);
  runner.scripts[a] = {{.takes = seconds(1000), .stops_when_asked = false, .immortal_until_kill = true}};
  run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "ask 0", "signal 0 15", "signal 0 9"));
  EXPECT_EQ(events.end_of("a").failure->status, Status::timeout);
  EXPECT_EQ(events.end_of("a").failure->message, "took longer than its timeout of 30s");
  EXPECT_EQ(events.end_of("a").elapsed, seconds(43));
}

TEST_F(SchedulerTest, ATimeoutIsPerAttemptAndIsRetried) {
  const auto a = add("a");
  plan.nodes[a].timeout = seconds(1);
  plan.nodes[a].retry = {.attempts = 2, .delay = seconds(10)};
  runner.scripts[a] = {{.takes = seconds(1000)}, {.takes = milliseconds(900)}};
  EXPECT_EQ(run().status, "ok");
}

TEST_F(SchedulerTest, TheFirstInterruptAsksToStopAndRunsFinally) {
  const auto a = add("a");
  add("b", {a});
  add_finally("f");
  runner.scripts[a] = {{.takes = seconds(1000)}};
  runner.interrupts = {{seconds(1), SIGINT}};
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "ask 0", "start f"));
  EXPECT_EQ(outcome.status, "cancelled");
  EXPECT_EQ(outcome.interrupt, SIGINT);
  EXPECT_EQ(outcome.counts, (Counts{.changed = 1, .cancelled = 1, .not_run = 1}));
}

TEST_F(SchedulerTest, AStubbornStepIsKilledAfterOneInterruptToo) {
  runner.scripts[add("a")] = {
      {.takes = seconds(1000), .stops_when_asked = false, .immortal_until_kill = true}};
  runner.interrupts = {{seconds(1), SIGTERM}};
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "ask 0", "signal 0 15", "signal 0 9"));
  EXPECT_EQ(outcome.interrupt, SIGTERM);
}

TEST_F(SchedulerTest, TheSecondInterruptKillsAndRunsFinally) {
  runner.scripts[add("a")] = {{.takes = seconds(1000), .stops_when_asked = false}};
  add_finally("f");
  runner.interrupts = {{milliseconds(1000), SIGINT}, {milliseconds(1100), SIGINT}};
  run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "ask 0", "signal 0 9", "start f"));
}

TEST_F(SchedulerTest, TheThirdInterruptEndsTheRunAtOnce) {
  runner.scripts[add("a")] = {{.takes = seconds(1000), .stops_when_asked = false}};
  const auto f = add_finally("f");
  runner.scripts[f] = {{.takes = seconds(1000), .stops_when_asked = false}};
  add_finally("g", {f});
  runner.interrupts = {
      {milliseconds(1000), SIGINT}, {milliseconds(1100), SIGINT}, {milliseconds(1200), SIGINT}};
  run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "ask 0", "signal 0 9", "start f", "signal 1 9"));
  EXPECT_EQ(events.events.back().type, Event::Type::run_ended);
}

TEST_F(SchedulerTest, OneInterruptInFinallyLetsItEnd) {
  add("a");
  const auto f = add_finally("f");
  runner.scripts[f] = {{.takes = seconds(10)}};
  add_finally("g", {f});
  runner.interrupts = {{seconds(2), SIGINT}};
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "start f", "start g"));
  EXPECT_EQ(outcome.status, "cancelled");
}

TEST_F(SchedulerTest, AnInterruptEndsTheWaitForARetry) {
  const auto a = add("a");
  plan.nodes[a].retry = {.attempts = 2, .delay = seconds(25), .max_delay = seconds(60)};
  runner.scripts[a] = {failing(Status::transient)};
  runner.interrupts = {{seconds(1), SIGINT}};
  EXPECT_EQ(run().counts, (Counts{.cancelled = 1, .retried = 1}));
  EXPECT_LT(events.end_of("a").time.time_since_epoch(), std::chrono::hours(1) + seconds(2));
}

TEST_F(SchedulerTest, WhatFinishedBeforeItHeardOfTheInterruptHasFinished) {
  runner.scripts[add("a")] = {{.takes = seconds(2), .stops_when_asked = false}};
  runner.interrupts = {{seconds(1), SIGINT}};
  EXPECT_EQ(run().counts.changed, 1);
}

TEST_F(SchedulerTest, RollsBackMarkedStepsNewestFirstBeforeFinally) {
  const auto a = add("a"), b = add("b", {a}), c = add("c", {b}), d = add("d", {c});
  add_finally("f");
  for (const auto node : {a, c, d}) plan.nodes[node].rollback = true;
  runner.scripts[d] = {failing(Status::denied), {}};
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "start b", "start c", "start d", "undo d", "undo c",
                                          "undo a", "start f"));
  EXPECT_EQ(outcome.counts.undone, 3);
}

TEST_F(SchedulerTest, DoesNotRollBackWhatWasUnchanged) {
  const auto a = add("a"), b = add("b", {a});
  plan.nodes[a].rollback = true;
  runner.scripts[a] = {{.says = {VerdictReport{Verdict::up_to_date, ""}}}};
  runner.scripts[b] = {failing(Status::denied)};
  run();
  EXPECT_THAT(runner.history, ElementsAre("start a", "start b"));
}

TEST_F(SchedulerTest, DoesNotRollBackASuccess) {
  plan.nodes[add("a")].rollback = true;
  run();
  EXPECT_THAT(runner.history, ElementsAre("start a"));
}

TEST_F(SchedulerTest, DownUndoesEverythingNewestFirstAndGoesOnAfterAFailure) {
  const auto a = add("a"), b = add("b", {a});
  add("c", {b});
  add_finally("f");
  options.operation = Operation::undo;
  runner.scripts[b] = {failing(Status::io)};
  memory.kept_outputs["a"] = {{"digest", "sha256:1"}};
  memory.notes["a"] = {{"made", "it"}};
  const RunOutcome outcome = run();
  EXPECT_THAT(runner.history, ElementsAre("undo c", "undo b", "undo a"));
  EXPECT_EQ(outcome.counts, (Counts{.failed = 1, .undone = 2}));
  EXPECT_EQ(runner.orders.back().remembered, (Value::Map{{"made", "it"}}));
  EXPECT_EQ(memory.remembered("a"), (Value::Map{{"made", "it"}})) << "what the plugin did not forget stays";
}

TEST_F(SchedulerTest, DownSaysDataOnlyWhenAsked) {
  add("a");
  options.operation = Operation::undo;
  run();
  EXPECT_FALSE(runner.orders.back().undo_data);
  options.undo_data = true;
  run();
  EXPECT_TRUE(runner.orders.back().undo_data);
}

TEST_F(SchedulerTest, DownStartsNoProcessForAStepWithoutUndo) {
  schema.has_undo = false;
  add("a");
  options.operation = Operation::undo;
  EXPECT_EQ(run().counts.unchanged, 1);
  EXPECT_THAT(runner.history, IsEmpty());
}

TEST_F(SchedulerTest, PlanReportsVerdictsAndRunsNoFinally) {
  const auto a = add("a"), b = add("b", {a});
  add("c", {b});
  add_finally("f");
  options.operation = Operation::plan;
  runner.scripts[a] = {{.says = {VerdictReport{Verdict::create, ""}}}};
  runner.scripts[b] = {{.says = {VerdictReport{Verdict::up_to_date, ""}}}};
  const RunOutcome outcome = run();
  EXPECT_EQ(runner.orders.size(), 3U);
  EXPECT_EQ(outcome.counts, (Counts{.unchanged = 1, .unknown = 1, .create = 1}));
}

TEST_F(SchedulerTest, PlanGoesOnAfterAStepThatCannotTell) {
  const auto a = add("a");
  add("b", {a});
  options.operation = Operation::plan;
  runner.scripts[a] = {failing(Status::transient)};
  EXPECT_EQ(run().counts, (Counts{.failed = 1, .unknown = 1}));
}

TEST_F(SchedulerTest, PlanDoesNotBlameAStepForWhatAnEarlierOneWouldMake) {
  const auto a = add("a"), b = add("b", {a}), wall = add("wall", {b}), c = add("c", {wall});
  plan.nodes[wall].barrier = true;
  options.operation = Operation::plan;
  runner.scripts[a] = {{.says = {VerdictReport{Verdict::create, ""}}}};
  runner.scripts[b] = {{.says = {VerdictReport{Verdict::up_to_date, ""}}}};
  runner.scripts[c] = {failing(Status::not_found)};
  EXPECT_EQ(run().counts, (Counts{.unchanged = 1, .unknown = 1, .create = 1}));
  EXPECT_EQ(events.end_of("c").summary, "known once `a` has run: it broke");
}

TEST_F(SchedulerTest, PlanBlamesAStepForWhatNoEarlierOneWouldMake) {
  const auto a = add("a"), b = add("b", {a}), c = add("c", {b});
  options.operation = Operation::plan;
  runner.scripts[a] = {{.says = {VerdictReport{Verdict::up_to_date, ""}}}};
  runner.scripts[b] = {failing(Status::not_found)};
  runner.scripts[c] = {failing(Status::invalid)};
  EXPECT_EQ(run().counts, (Counts{.unchanged = 1, .failed = 2}));
}

TEST_F(SchedulerTest, KeepsOutputsForDown) {
  runner.scripts[add("a")] = {{.says = {OutputReport{"digest", "sha256:1"}}}};
  run();
  EXPECT_EQ(memory.kept_outputs["a"], (Value::Map{{"digest", "sha256:1"}}));
}

TEST_F(SchedulerTest, RefusesOutputsThatAreNotDeclared) {
  runner.scripts[add("a")] = {{.says = {OutputReport{"other", "x"}}}};
  run();
  EXPECT_EQ(events.end_of("a").failure->message,
            "plugin 'x' gave an output 'other' that it does not declare");
}

TEST_F(SchedulerTest, RefusesOutputsOfAnotherType) {
  runner.scripts[add("a")] = {{.says = {OutputReport{"count", "many"}}}};
  run();
  EXPECT_EQ(events.end_of("a").failure->message,
            "plugin 'x' gave its output 'count' as string, but declares it as integer");
}

TEST_F(SchedulerTest, NamesTheSignalThatAPluginDiedOf) {
  runner.scripts[add("a")] = {{.dies_of = SIGSEGV}};
  run();
  EXPECT_EQ(events.end_of("a").failure->message, "plugin 'x' crashed (SIGSEGV)");
}

TEST_F(SchedulerTest, AnnouncesEveryStepFirstAndEndsWithTheRun) {
  add("a");
  add("b");
  run();
  EXPECT_EQ(events.events.front().type, Event::Type::run_started);
  EXPECT_EQ(events.events.front().steps.size(), 2U);
  EXPECT_EQ(events.events.back().type, Event::Type::run_ended);
  EXPECT_EQ(events.events.back().status, "ok");
}

TEST_F(SchedulerTest, AChainOfManyStepsNeedsNoStack) {
  std::uint32_t last = add("0");
  for (int i = 1; i < 50'000; ++i) last = add(std::to_string(i), {last});
  EXPECT_EQ(run().counts.changed, 50'000);
}

TEST(RetryDelay, GrowsToItsLimitAndTakesJitterOff) {
  const Retry retry{.attempts = 9, .delay = seconds(2), .max_delay = seconds(30), .factor = 2.0};
  EXPECT_EQ(retry_delay(retry, 1, {}, 0.0), seconds(2));
  EXPECT_EQ(retry_delay(retry, 3, {}, 0.0), seconds(8));
  EXPECT_EQ(retry_delay(retry, 9, {}, 0.0), seconds(30));
  EXPECT_EQ(retry_delay(retry, 5000, {}, 0.0), seconds(30)) << "2^5000 is more than a double holds";
  EXPECT_EQ(retry_delay(retry, 1, {}, 0.5), milliseconds(1500));
}

TEST(RetryDelay, NeverUndercutsWhatTheOtherSideAskedFor) {
  const Retry retry{.attempts = 2, .delay = seconds(1), .max_delay = seconds(5)};
  EXPECT_EQ(retry_delay(retry, 1, seconds(90), 0.9), seconds(90));
  EXPECT_EQ(retry_delay(retry, 1, std::chrono::milliseconds::max(), 0.0), std::chrono::hours(24));
}

TEST(RetryDelay, KeepsToTheDelayWithoutJitter) {
  const Retry retry{.attempts = 2, .delay = seconds(1), .jitter = false};
  EXPECT_EQ(retry_delay(retry, 1, {}, 0.9), seconds(1));
}

}  // namespace
}  // namespace pipes
