// What a step gets of its parameters, and what the host gets of its operations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/plugin.hpp>
#include <pipe/testing.hpp>

#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

namespace {
using namespace pipes::sdk;
using Context = pipes::sdk::Run;  // gtest has a Run of its own inside a test
using pipes::sdk::testing::Diff;
using pipes::sdk::testing::Result;
using pipes::sdk::testing::StepTest;
using pipes::sdk::testing::Value;

struct Params {
  std::string text = "default";
  std::int64_t integer = 3;
  double number = 0.5;
  bool boolean = false;
  Secret secret;
  std::optional<Path> path;
  Duration duration{};
  Bytes size{};
  std::vector<std::int64_t> integers;
  std::map<std::string, std::string> map;
  std::vector<std::map<std::string, bool>> maps;
};
struct Outputs {
  std::string any;
};
constexpr Schema kStep{"step", "0.1.0", "For these tests",
                       std::tuple{field("text", &Params::text, {.help = "h", .fallback = "\"default\""}),
                                  field("integer", &Params::integer, {.help = "h", .fallback = "3"}),
                                  field("number", &Params::number, {.help = "h", .fallback = "0.5"}),
                                  field("boolean", &Params::boolean, {.help = "h", .fallback = "false"}),
                                  field("secret", &Params::secret, {.help = "h", .fallback = "null"}),
                                  field("path", &Params::path, {.help = "h"}),
                                  field("duration", &Params::duration, {.help = "h", .fallback = "0"}),
                                  field("size", &Params::size, {.help = "h", .fallback = "0"}),
                                  field("integers", &Params::integers, {.help = "h", .fallback = "[]"}),
                                  field("map", &Params::map, {.help = "h", .fallback = "{}"}),
                                  field("maps", &Params::maps, {.help = "h", .fallback = "[]"})},
                       std::tuple{field("any", &Outputs::any, {.help = "h"})}};

/// What the operation does in the test at hand; the contract has room for plain functions only.
std::function<void(Context &, const Params &)> body;

void operation(Context &run, const Params &p) {
  body(run, p);
}

constexpr pipe_plugin_v1 kPlugin = {sizeof(pipe_plugin_v1), PIPE_ABI_MAJOR, PIPE_ABI_MINOR,
                                    Plugin<Step<kStep, Params, operation, operation, operation>>::kSteps,
                                    nullptr};

class Operation : public ::testing::Test {
 protected:
  Result run(std::function<void(Context &, const Params &)> with) {
    body = std::move(with);
    return step.run();
  }
  Params params() {
    Params seen;
    const Result result = run([&](Context &, const Params &p) { seen = p; });
    EXPECT_EQ(result.status, PIPE_OK) << result.message;
    return seen;
  }
  StepTest step{"step", kPlugin};
};

TEST_F(Operation, KeepsTheDefaultOfWhatWasNotGiven) {
  const Params p = params();
  EXPECT_EQ(p.text, "default");
  EXPECT_EQ(p.integer, 3);
  EXPECT_FALSE(p.path.has_value());
}

TEST_F(Operation, ReadsScalars) {
  step.param("text", "ü").param("integer", -7).param("number", 2.25).param("boolean", true);
  step.param("secret", "s3cret").param("path", "/tmp").param("duration", 1500).param("size", 1024);
  const Params p = params();
  EXPECT_EQ(p.text, "ü");
  EXPECT_EQ(p.integer, -7);
  EXPECT_EQ(p.number, 2.25);
  EXPECT_TRUE(p.boolean);
  EXPECT_EQ(p.secret.value, "s3cret");
  EXPECT_EQ(p.path->value, "/tmp");
  EXPECT_EQ(p.duration, std::chrono::milliseconds(1500));
  EXPECT_EQ(p.size.value, 1024);
}

TEST_F(Operation, ReadsAnIntegerWhereANumberIsAskedFor) {
  step.param("number", 2);
  EXPECT_EQ(params().number, 2.0);
}

TEST_F(Operation, ReadsListsAndMapsAndListsOfMaps) {
  step.param("integers", Value::List{1, 2}).param("map", Value::Map{{"a", "1"}, {"b", ""}});
  step.param("maps", Value::List{Value::Map{{"x", true}}, Value::Map{}});
  const Params p = params();
  EXPECT_EQ(p.integers, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(p.map, (std::map<std::string, std::string>{{"a", "1"}, {"b", ""}}));
  EXPECT_EQ(p.maps, (std::vector<std::map<std::string, bool>>{{{"x", true}}, {}}));
}

TEST_F(Operation, TakesContainersOfTheParametersOwnTypes) {
  const std::vector<std::int64_t> integers{1, 2};
  const std::map<std::string, std::string> map{{"a", "1"}};
  const std::vector<std::map<std::string, bool>> maps{{{"x", true}}, {}};
  const Params p = (step.param("integers", integers).param("map", map).param("maps", maps), params());
  EXPECT_EQ(p.integers, integers);
  EXPECT_EQ(p.map, map);
  EXPECT_EQ(p.maps, maps);
}

TEST_F(Operation, RefusesAValueOfAnotherKindThanDeclared) {
  step.param("integers", Value::List{"one"});
  const Result result = run([](Context &, const Params &) { FAIL() << "ran with a wrong parameter"; });
  EXPECT_EQ(result.status, PIPE_E_INVALID);
  EXPECT_THAT(result.message, ::testing::HasSubstr("'integers'"));
}

TEST_F(Operation, PlanIsUnknownWhileAParameterIs) {
  body = [](Context &, const Params &) { FAIL() << "planned without its parameters"; };
  const Result result = step.unknown("text").unknown("path").plan();
  EXPECT_EQ(result.status, PIPE_OK);
  EXPECT_EQ(result.verdict, PIPE_UNKNOWN);
  EXPECT_EQ(result.summary, "text, path: known once an earlier step has run");
}

TEST_F(Operation, RunFailsWhileAParameterIsUnknown) {
  step.unknown("text");
  const Result result = run([](Context &, const Params &) { FAIL() << "ran without its parameters"; });
  EXPECT_EQ(result.status, PIPE_E_INVALID);
  EXPECT_EQ(result.message, "no value is known for text");
}

TEST_F(Operation, ErrorReachesTheHostWhole) {
  const Result result = run(
      [](Context &, const Params &) { throw Error(PIPE_E_TRANSIENT, "too many requests", "wait", 1500); });
  EXPECT_EQ(result.status, PIPE_E_TRANSIENT);
  EXPECT_EQ(result.message, "too many requests");
  EXPECT_EQ(result.hint, "wait");
  EXPECT_EQ(result.retry_after_ms, 1500);
}

TEST_F(Operation, ErrorWithoutAReasonIsStillAFailure) {
  EXPECT_EQ(run([](Context &, const Params &) { throw Error(PIPE_OK, "odd"); }).status, PIPE_E_INTERNAL);
}

TEST_F(Operation, SystemErrorIsAnIoFailure) {
  const Result result = run([](Context &, const Params &) {
    throw std::system_error(std::make_error_code(std::errc::no_space_on_device), "write blob");
  });
  EXPECT_EQ(result.status, PIPE_E_IO);
  EXPECT_EQ(result.message, "write blob: No space left on device");
}

TEST_F(Operation, ForeignExceptionIsInternal) {
  const Result result = run([](Context &, const Params &) { throw std::out_of_range("index 3"); });
  EXPECT_EQ(result.status, PIPE_E_INTERNAL);
  EXPECT_EQ(result.message, "index 3");
}

TEST_F(Operation, OutOfMemoryIsInternal) {
  const Result result = run([](Context &, const Params &) { throw std::bad_alloc(); });
  EXPECT_EQ(result.status, PIPE_E_INTERNAL);
  EXPECT_EQ(result.message, "out of memory");
}

TEST_F(Operation, WhatIsNoExceptionIsCaughtToo) {
  const Result result = run([](Context &, const Params &) { throw 5; });
  EXPECT_EQ(result.status, PIPE_E_INTERNAL);
  EXPECT_EQ(result.message, "an exception of unknown type");
}

TEST_F(Operation, PublishesOutputsOfEveryKind) {
  const Result result = run([](Context &run, const Params &) {
    run.output("text", "literal");
    run.output("string", std::string("text"));
    run.output("bool", true);
    run.output("int", 5);
    run.output("size", std::size_t{6});
    run.output("double", 0.25);
    run.output("list", std::vector<std::string>{"a", "b"});
    run.output("map", std::map<std::string, std::int64_t>{{"k", 1}});
    run.output("nested", std::vector<std::map<std::string, std::vector<bool>>>{{{"k", {true}}}});
  });
  ASSERT_EQ(result.status, PIPE_OK) << result.message;
  EXPECT_EQ(result.outputs.at("text"), Value("literal"));
  EXPECT_EQ(result.outputs.at("string"), Value("text"));
  EXPECT_EQ(result.outputs.at("bool"), Value(true));
  EXPECT_EQ(result.outputs.at("int"), Value(5));
  EXPECT_EQ(result.outputs.at("size"), Value(6));
  EXPECT_EQ(result.outputs.at("double"), Value(0.25));
  EXPECT_EQ(result.outputs.at("list"), Value(Value::List{"a", "b"}));
  EXPECT_EQ(result.outputs.at("map"), Value(Value::Map{{"k", 1}}));
  EXPECT_EQ(result.outputs.at("nested"), Value(Value::List{Value::Map{{"k", Value::List{true}}}}));
}

TEST_F(Operation, SaysWhatDiffers) {
  body = [](Context &run, const Params &) {
    run.verdict(Verdict::change, "first");
    run.verdict(Verdict::replace, "replace the container");
    run.diff("ports", "5000", "5001");
  };
  const Result result = step.plan();
  EXPECT_EQ(result.verdict, PIPE_REPLACE);
  EXPECT_EQ(result.summary, "replace the container");
  EXPECT_EQ(result.diffs, (std::vector<Diff>{{"ports", "5000", "5001"}}));
}

TEST_F(Operation, UndoReadsWhatRunRemembered) {
  run([](Context &run, const Params &) {
    run.remember("container", "c1");
    run.remember("volume", "v1");
    run.forget("volume");
  });
  std::optional<std::string> container, volume;
  body = [&](Context &run, const Params &) {
    container = run.recall("container");
    volume = run.recall("volume");
  };
  step.undo();
  EXPECT_EQ(container, "c1");
  EXPECT_EQ(volume, std::nullopt);
}

TEST_F(Operation, UndoTakesDataOnlyWhenAsked) {
  bool data = true;
  body = [&](Context &run, const Params &) { data = run.undo_data(); };
  step.undo();
  EXPECT_FALSE(data);
  step.undo_with_data();
  EXPECT_TRUE(data);
}

TEST_F(Operation, IsAnObserverForTheLibraries) {
  const Result result = run([](Context &run, const Params &) {
    Observer &observer = run;
    observer.log(Level::warning, "slow");
    observer.progress({.done = 5, .total = 10, .label = "layer"});
    EXPECT_FALSE(observer.cancelled());
    EXPECT_GE(observer.cancel_fd(), 0);
  });
  ASSERT_EQ(result.logs.size(), 1U);
  EXPECT_EQ(result.logs[0].level, 3);
  EXPECT_TRUE(result.logged("slow"));
  EXPECT_EQ(result.progress_events, 1U);
}

TEST_F(Operation, StopsWhereItAsksOnceCancelled) {
  step.cancel();
  const Result result = run([](Context &run, const Params &) {
    run.check_cancelled();
    FAIL() << "went on after a cancellation";
  });
  EXPECT_EQ(result.status, PIPE_E_CANCELLED);
}

}  // namespace
