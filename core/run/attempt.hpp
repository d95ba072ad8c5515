#pragma once
// One attempt of one step: what it said so far, and what that makes of it in the end.
#include "core/plan/plan.hpp"
#include "core/run/clock.hpp"
#include "core/run/event.hpp"
#include "core/run/message.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pipes {

/// How long a step that was asked to stop may take, before SIGTERM and then SIGKILL: the second is what
/// engines give a container, as the step may be putting one back. Whoever can't wait presses Ctrl-C once
/// more.
struct Grace {
  Millis before_term{3000}, before_kill{10000};
};

/// Why a step is being stopped.
enum class Stop { no, timeout, cancel };

struct Attempt {
  Operation operation = Operation::run;
  int number = 1;
  TimePoint started = {};
  std::optional<TimePoint> next_step = {};  // of stopping: the timeout, then SIGTERM, then SIGKILL
  Stop stop = Stop::no;
  int signalled = 0;  // the last signal that was sent to it

  Value::Map params = {};  // to be told, secrets masked
  std::string why = {};    // it runs, or does not
  std::string kept = {};   // the run that it was taken over from
  Value::Map outputs = {};
  std::optional<Verdict> verdict = {};
  std::string summary = {};
  std::vector<Diff> diffs = {};
  std::optional<FailReport> told = {};  // what the plugin said of its failure
  std::optional<Status> done = {};
  std::string broken = {};  // what it did that no plugin may

  /// Takes in what the step says; checks outputs against the schema.
  void take(const StepReport &, const StepSchema *);
};

/// What became of an attempt.
struct Ending {
  NodeResult::State state = NodeResult::State::failed;
  std::optional<Failure> failure;
  Millis retry_after{0};
};

/// Decides how an attempt ended, once its process is gone.
Ending conclude(const Attempt &, const ExitReport &, const Node &);

}  // namespace pipes
