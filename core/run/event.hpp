#pragma once
// The one stream of a run. Every printer reads it, the journal keeps it; docs/reference/events.md.
#include "core/base/value.hpp"
#include "core/plan/plan.hpp"
#include "core/run/message.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// How the steps of a run ended.
struct Counts {
  int changed = 0, unchanged = 0, failed = 0, skipped = 0, cancelled = 0;
  int not_run = 0;  // never started, as another step had failed or the run was cancelled
  int retried = 0, undone = 0;
  int unknown = 0, create = 0, change = 0, replace = 0, remove = 0;  // verdicts of `plan`
  bool operator==(const Counts &) const = default;
};

/// Why a step failed.
struct Failure {
  Status status = Status::internal;
  std::string message, hint;
  // The last lines of its log, and those among them that no printed event told; both by the Reporter.
  std::vector<std::string> tail{}, untold{};
  std::string log{};   // path of its log, if it has one; by the Reporter
  Value::Map given{};  // what the step was given, as one writes it, but for what its plugin says itself
};

/// "changed", "unchanged" … as every printer and the journal say it.
std::string_view state_name(NodeResult::State);

/// One event. Which members have a meaning depends on `type`.
struct Event {
  enum class Type {
    run_started,   // steps; in fields: what the run was told, for whoever goes on with it
    step_started,  // attempt, attempts
    log,           // level, message, fields
    output,        // message: what the plugin wrote to stdout or stderr
    progress,      // progress
    step_retried,  // failure, elapsed: until the next attempt
    step_ended,    // state, verdict, summary, diffs, outputs (in fields), failure, elapsed, params, why, kept
    run_ended,     // status, counts, outputs (in fields), elapsed
    notice,        // level, message, hint: of the runner itself
  };
  Type type = Type::notice;
  std::chrono::system_clock::time_point time;
  Operation operation = Operation::run;
  std::string step, uses;  // empty: the run as a whole
  std::size_t index = 0;   // of the step in the plan
  int attempt = 1, attempts = 1;
  int level = 2;
  std::string message, hint;
  Value::Map fields;
  ProgressReport progress;
  NodeResult::State state = NodeResult::State::pending;
  Verdict verdict = Verdict::unknown;
  std::string summary;
  Value::Map params;  // what it was given, secrets masked
  std::string why;    // what made it run, or not, where that is not just the order of the steps
  std::string kept;   // the run that it was taken over from: it was not run in this one
  std::vector<Diff> diffs;
  std::optional<Failure> failure;
  std::chrono::milliseconds elapsed{0};
  std::string pipeline, file, status;
  Value::List steps;  // run_started: see described_steps
  Counts counts;
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on(const Event &) = 0;
  /// When `tick` wants to be called, for a display that moves by itself; nullopt: never.
  virtual std::optional<std::chrono::steady_clock::time_point> next_tick() const { return std::nullopt; }
  virtual void tick() {}
};

}  // namespace pipes
