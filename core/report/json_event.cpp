#include "core/report/json_event.hpp"

#include <fmt/core.h>

#include <array>
#include <ctime>

namespace pipes {
namespace {

constexpr std::array<const char *, 5> kLevels{"trace", "debug", "info", "warning", "error"};

std::string timestamp(std::chrono::system_clock::time_point at) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

Value error_of(const Failure &f) {
  Value::Map error{{"status", status_name(f.status)}, {"message", f.message}};
  if (!f.hint.empty()) error.emplace_back("hint", f.hint);
  if (!f.tail.empty()) error.emplace_back("tail", Value::List(f.tail.begin(), f.tail.end()));
  if (!f.log.empty()) error.emplace_back("log", f.log);
  return error;
}

Value counts_of(const Counts &c, Operation operation) {
  if (operation == Operation::plan) {
    return Value::Map{{"up_to_date", c.unchanged}, {"create", c.create},  {"change", c.change},
                      {"replace", c.replace},      {"remove", c.remove},  {"unknown", c.unknown},
                      {"failed", c.failed},        {"skipped", c.skipped}};
  }
  return Value::Map{{"changed", c.changed}, {"unchanged", c.unchanged}, {"failed", c.failed},
                    {"skipped", c.skipped}, {"cancelled", c.cancelled}, {"not_run", c.not_run},
                    {"retried", c.retried}, {"undone", c.undone}};
}

Value elapsed_of(const Event &e) {
  return std::int64_t{e.elapsed.count()};
}

void describe_end(const Event &e, Value::Map &out) {
  out.emplace_back("operation", operation_name(e.operation));
  out.emplace_back("state", state_name(e.state));
  if (e.operation == Operation::plan && e.state == NodeResult::State::unknown) {
    out.emplace_back("verdict", verdict_name(e.verdict));
  }
  if (!e.summary.empty()) out.emplace_back("summary", e.summary);
  if (!e.diffs.empty()) {
    Value::List diffs;
    for (const Diff &d : e.diffs) {
      diffs.emplace_back(Value::Map{{"field", d.field}, {"before", d.before}, {"after", d.after}});
    }
    out.emplace_back("diff", std::move(diffs));
  }
  if (!e.fields.empty()) out.emplace_back("outputs", e.fields);
  if (e.failure) out.emplace_back("error", error_of(*e.failure));
  out.emplace_back("attempt", e.attempt);
  out.emplace_back("elapsed_ms", elapsed_of(e));
}

}  // namespace

std::string version_line() {
  return to_json(Value(Value::Map{{"type", "version"}, {"schema", kEventSchema}, {"pipe", PIPE_VERSION}})) +
         "\n";
}

std::string to_json_line(const Event &e) {
  Value::Map out;
  const auto begin = [&](const char *type) {
    out.emplace_back("type", type);
    out.emplace_back("time", timestamp(e.time));
    if (!e.step.empty()) out.emplace_back("step", e.step);
  };
  switch (e.type) {
    case Event::Type::run_started:
      begin("run_started");
      out.emplace_back("pipeline", e.pipeline);
      if (!e.file.empty()) out.emplace_back("file", e.file);
      out.emplace_back("operation", operation_name(e.operation));
      out.emplace_back("steps", e.steps);
      break;
    case Event::Type::step_started:
      begin("step_started");
      out.emplace_back("uses", e.uses);
      out.emplace_back("operation", operation_name(e.operation));
      out.emplace_back("attempt", e.attempt);
      out.emplace_back("attempts", e.attempts);
      break;
    case Event::Type::log:
      begin("log");
      out.emplace_back("level", kLevels.at(static_cast<std::size_t>(e.level)));
      out.emplace_back("message", e.message);
      if (!e.fields.empty()) out.emplace_back("fields", e.fields);
      break;
    case Event::Type::output:
      begin("output");
      out.emplace_back("text", e.message);
      break;
    case Event::Type::progress:
      begin("progress");
      out.emplace_back("id", static_cast<std::int64_t>(e.progress.id));
      out.emplace_back("parent", static_cast<std::int64_t>(e.progress.parent));
      out.emplace_back("done", static_cast<std::int64_t>(e.progress.done));
      out.emplace_back("total", static_cast<std::int64_t>(e.progress.total));
      out.emplace_back("unit", e.progress.bytes ? "bytes" : "count");
      if (!e.progress.label.empty()) out.emplace_back("label", e.progress.label);
      break;
    case Event::Type::step_retried:
      begin("step_retried");
      out.emplace_back("attempt", e.attempt);
      out.emplace_back("attempts", e.attempts);
      out.emplace_back("delay_ms", elapsed_of(e));
      if (e.failure) out.emplace_back("error", error_of(*e.failure));
      break;
    case Event::Type::step_ended:
      begin("step_ended");
      describe_end(e, out);
      break;
    case Event::Type::run_ended:
      begin("run_ended");
      out.emplace_back("pipeline", e.pipeline);
      out.emplace_back("operation", operation_name(e.operation));
      out.emplace_back("status", e.status);
      out.emplace_back("counts", counts_of(e.counts, e.operation));
      if (!e.fields.empty()) out.emplace_back("outputs", e.fields);
      out.emplace_back("elapsed_ms", elapsed_of(e));
      break;
    case Event::Type::notice:
      begin("notice");
      out.emplace_back("level", kLevels.at(static_cast<std::size_t>(e.level)));
      out.emplace_back("message", e.message);
      if (!e.hint.empty()) out.emplace_back("hint", e.hint);
      break;
  }
  return to_json(Value(std::move(out))) + "\n";
}

}  // namespace pipes
