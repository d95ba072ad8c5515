#pragma once
// What the runner and a step process say to each other. All of it can be written as bytes, so that a
// step may one day run on the far side of an exec or of a network.
#include "core/base/value.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pipes {

enum class Operation : std::uint8_t { plan, run, undo };
std::string_view operation_name(Operation);

/// Values of pipe_status (pipe/plugin.h).
enum class Status : std::int32_t {
  ok,
  invalid,
  not_found,
  denied,
  transient,
  timeout,
  cancelled,
  mismatch,
  io,
  internal
};
std::string_view status_name(Status);

/// Values of pipe_verdict.
enum class Verdict : std::int32_t { unknown, up_to_date, create, change, replace, remove };
std::string_view verdict_name(Verdict);

/// What a step process is told: the first message it gets. May hold the secrets of its own step.
struct StepOrder {
  Operation operation = Operation::run;
  std::string id, uses, plugin;
  Value::Map params;
  std::vector<std::string> unknown;  // parameters nobody knows yet (plan)
  Value::Map remembered;
  bool undo_data = false;
  bool operator==(const StepOrder &) const = default;
};

/// One field that differs.
struct Diff {
  std::string field, before, after;
  bool operator==(const Diff &) const = default;
};

/// What a step process says.
struct LogReport {
  std::int32_t level = 2;  // 0 trace … 4 error
  std::string message;
  Value::Map fields;
  bool operator==(const LogReport &) const = default;
};
struct ProgressReport {
  std::uint64_t id = 0, parent = 0, done = 0, total = 0;
  bool bytes = false;
  std::string label;
  bool operator==(const ProgressReport &) const = default;
};
struct OutputReport {
  std::string name;
  Value value;
  bool operator==(const OutputReport &) const = default;
};
struct VerdictReport {
  Verdict verdict = Verdict::unknown;
  std::string summary;
  bool operator==(const VerdictReport &) const = default;
};
struct DiffReport {
  Diff diff;
  bool operator==(const DiffReport &) const = default;
};
/// Asks to keep a value on disk; a null one forgets. Answered by a RememberAnswer.
struct RememberReport {
  std::string key;
  Value value;
  bool operator==(const RememberReport &) const = default;
};
struct FailReport {
  Status status = Status::internal;
  std::string message, hint;
  std::chrono::milliseconds retry_after{0};
  bool operator==(const FailReport &) const = default;
};
/// The explicit end. A process that exits without it has not finished.
struct DoneReport {
  Status status = Status::ok;
  bool operator==(const DoneReport &) const = default;
};
/// What the plugin wrote to stdout or stderr; not sent by the process, read from its pipe.
struct TextReport {
  std::string bytes;
  bool operator==(const TextReport &) const = default;
};
/// The process is gone; the last report of a step. `problem`: it broke the rules of this channel, or
/// could not be started.
struct ExitReport {
  int code = 0, signal = 0;
  std::string problem;
  bool operator==(const ExitReport &) const = default;
};

using StepReport = std::variant<LogReport, ProgressReport, OutputReport, VerdictReport, DiffReport,
                                RememberReport, FailReport, DoneReport, TextReport, ExitReport>;

/// The answer to a RememberReport; `problem` is empty if the value is on disk.
struct RememberAnswer {
  std::string problem;
};

std::string encode(const StepOrder &);
std::string encode(const StepReport &);
std::string encode(const RememberAnswer &);
/// Each throws WireError on bytes that are no such thing: the sender is not trusted. One message of a step
/// process holds one report or several, each behind its length (WireWriter::text).
StepOrder decode_order(std::string_view);
StepReport decode_report(std::string_view);
RememberAnswer decode_answer(std::string_view);

}  // namespace pipes
