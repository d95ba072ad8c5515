#include "core/report/json_event.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace pipes {
namespace {

constexpr std::array<const char *, 5> kLevels{"trace", "debug", "info", "warning", "error"};

Value error_of(const Failure &f) {
  Value::Map error{{"status", status_name(f.status)}, {"message", f.message}};
  if (!f.hint.empty()) error.emplace_back("hint", f.hint);
  if (!f.tail.empty()) error.emplace_back("tail", Value::List(f.tail.begin(), f.tail.end()));
  if (!f.log.empty()) error.emplace_back("log", f.log);
  if (!f.given.empty()) error.emplace_back("given", f.given);
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
  if (!e.why.empty()) out.emplace_back("why", e.why);
  if (!e.kept.empty()) out.emplace_back("kept", e.kept);
  if (!e.params.empty()) out.emplace_back("params", e.params);
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

// ---- and back

using Is = Event::Type;

constexpr std::array kTypes{std::pair{"run_started", Is::run_started},
                            std::pair{"step_started", Is::step_started},
                            std::pair{"log", Is::log},
                            std::pair{"output", Is::output},
                            std::pair{"progress", Is::progress},
                            std::pair{"step_retried", Is::step_retried},
                            std::pair{"step_ended", Is::step_ended},
                            std::pair{"run_ended", Is::run_ended},
                            std::pair{"notice", Is::notice}};

/// A member of an event, or nothing of its kind.
std::string text(const Value &from, std::string_view key) {
  const Value *found = from.find(key);
  return found != nullptr && found->is_string() ? found->as_string() : std::string();
}

std::int64_t number(const Value &from, std::string_view key, std::int64_t otherwise = 0) {
  const Value *found = from.find(key);
  return found != nullptr && found->kind() == Value::Kind::integer ? found->as_int() : otherwise;
}

Value::Map members(const Value &from, std::string_view key) {
  const Value *found = from.find(key);
  return found != nullptr && found->kind() == Value::Kind::map ? found->as_map() : Value::Map();
}

Value::List items(const Value &from, std::string_view key) {
  const Value *found = from.find(key);
  return found != nullptr && found->kind() == Value::Kind::list ? found->as_list() : Value::List();
}

/// The value from `first` to `last` whose name it is; `otherwise` if there is none.
template <class Enum, class Name>
Enum by_name(const std::string &name, Enum first, Enum last, Enum otherwise, Name name_of) {
  for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
    if (name_of(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  }
  return otherwise;
}

int level_of(const std::string &name) {
  const auto at = std::ranges::find(kLevels, name);
  return at == kLevels.end() ? 2 : static_cast<int>(at - kLevels.begin());
}

std::optional<Failure> failure_of(const Value &from) {
  const Value *error = from.find("error");
  if (error == nullptr || error->kind() != Value::Kind::map) return std::nullopt;
  Failure f;
  f.status = by_name(text(*error, "status"), Status::ok, Status::internal, Status::internal, status_name);
  f.message = text(*error, "message");
  f.hint = text(*error, "hint");
  for (const Value &line : items(*error, "tail")) f.tail.push_back(to_text(line));
  f.log = text(*error, "log");
  f.given = members(*error, "given");
  return f;
}

Counts counts_from(const Value &from) {
  const auto count = [&from](std::string_view key) { return static_cast<int>(number(from, key)); };
  Counts c;
  c.changed = count("changed");
  c.unchanged = from.find("up_to_date") == nullptr ? count("unchanged") : count("up_to_date");
  c.failed = count("failed");
  c.skipped = count("skipped");
  c.cancelled = count("cancelled");
  c.not_run = count("not_run");
  c.retried = count("retried");
  c.undone = count("undone");
  c.unknown = count("unknown");
  c.create = count("create");
  c.change = count("change");
  c.replace = count("replace");
  c.remove = count("remove");
  return c;
}

void read_members(const Value &from, Event &e) {
  e.step = text(from, "step");
  e.uses = text(from, "uses");
  e.operation =
      by_name(text(from, "operation"), Operation::plan, Operation::undo, Operation::run, operation_name);
  e.attempt = static_cast<int>(number(from, "attempt", 1));
  e.attempts = static_cast<int>(number(from, "attempts", 1));
  e.level = level_of(text(from, "level"));
  e.message = text(from, e.type == Is::output ? "text" : "message");
  e.hint = text(from, "hint");
  e.pipeline = text(from, "pipeline");
  e.file = text(from, "file");
  e.status = text(from, "status");
  e.summary = text(from, "summary");
  e.why = text(from, "why");
  e.kept = text(from, "kept");
  e.params = members(from, "params");
  e.fields = members(from, e.type == Is::log ? "fields" : "outputs");
  e.steps = items(from, "steps");
  e.failure = failure_of(from);
  e.elapsed = std::chrono::milliseconds(number(from, e.type == Is::step_retried ? "delay_ms" : "elapsed_ms"));
  e.state = by_name(text(from, "state"), NodeResult::State::pending, NodeResult::State::unknown,
                    NodeResult::State::unknown, state_name);
  e.verdict =
      by_name(text(from, "verdict"), Verdict::unknown, Verdict::remove, Verdict::unknown, verdict_name);
  for (const Value &d : items(from, "diff")) {
    e.diffs.push_back({text(d, "field"), text(d, "before"), text(d, "after")});
  }
  if (const Value *counts = from.find("counts")) e.counts = counts_from(*counts);
}

/// What run_started has beside its own members is what the run was told.
Value::Map told(const Value::Map &from) {
  constexpr std::array kMembers{"type", "time", "pipeline", "file", "operation", "steps"};
  Value::Map fields;
  for (const auto &[name, value] : from) {
    if (std::ranges::find(kMembers, name) == kMembers.end()) fields.emplace_back(name, value);
  }
  return fields;
}

ProgressReport progress_of(const Value &from) {
  const auto figure = [&from](std::string_view key) { return static_cast<std::uint64_t>(number(from, key)); };
  return {
      figure("id"),       figure("parent"), figure("done"), figure("total"), text(from, "unit") == "bytes",
      text(from, "label")};
}

}  // namespace

std::string timestamp(std::chrono::system_clock::time_point at) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

std::chrono::system_clock::time_point time_of(std::string_view from) {
  const std::string text(from.substr(0, 32));
  std::tm utc{};
  int ms = 0;
  const auto read = [&](const char *form) {
    return std::sscanf(text.c_str(), form, &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour, &utc.tm_min,
                       &utc.tm_sec, &ms) == 7;
  };
  if (!read("%4d-%2d-%2dT%2d:%2d:%2d.%3dZ") && !read("%4d%2d%2dT%2d%2d%2d.%3dZ")) return {};
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  return std::chrono::system_clock::from_time_t(::timegm(&utc)) + std::chrono::milliseconds(ms);
}

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
      for (const auto &[name, value] : e.fields) out.emplace_back(name, value);
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

std::optional<Event> read_event(std::string_view line) {
  Value value;
  try {
    value = parse_json(line);
  } catch (const Error &) {
    return std::nullopt;
  }
  const std::string name = text(value, "type");
  const auto type = std::ranges::find_if(kTypes, [&](const auto &known) { return name == known.first; });
  if (type == kTypes.end()) return std::nullopt;
  Event e;
  e.type = type->second;
  e.time = time_of(text(value, "time"));
  read_members(value, e);
  if (e.type == Is::run_started) e.fields = told(value.as_map());
  if (e.type == Is::progress) e.progress = progress_of(value);
  return e;
}

}  // namespace pipes
