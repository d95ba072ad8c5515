#include "core/run/attempt.hpp"

#include "core/base/quantity.hpp"

#include <fmt/core.h>
#include <string.h>

#include <algorithm>
#include <csignal>

namespace pipes {
namespace {

using State = NodeResult::State;

std::string signal_name(int signal) {
  const char *name = ::sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

bool fits(Type type, Value::Kind kind) {
  switch (type) {
    case Type::string:
    case Type::path:
      return kind == Value::Kind::string;
    case Type::integer:
    case Type::duration:
    case Type::size:
      return kind == Value::Kind::integer;
    case Type::number:
      return kind == Value::Kind::number || kind == Value::Kind::integer;
    case Type::boolean:
      return kind == Value::Kind::boolean;
    case Type::list:
      return kind == Value::Kind::list;
    case Type::map:
      return kind == Value::Kind::map;
  }
  return false;
}

/// How an output is not what was declared; empty: it is.
std::string misfit(const Output &declared, const Value &value) {
  const std::string wanted = describe_type(declared.type, declared.item);
  const auto problem = [&](std::string_view which, Value::Kind kind) {
    return fmt::format("gave its output '{}' {} {}, but declares it as {}", declared.name, which,
                       kind_name(kind), wanted);
  };
  if (!fits(declared.type, value.kind())) return problem("as", value.kind());
  const auto of_item = [&](const Value &item) {
    return fits(declared.item, item.kind()) ? std::string() : problem("with an item of type", item.kind());
  };
  std::string found;
  if (declared.type == Type::list) {
    for (const Value &item : value.as_list()) found = found.empty() ? of_item(item) : found;
  } else if (declared.type == Type::map) {
    for (const auto &[key, item] : value.as_map()) found = found.empty() ? of_item(item) : found;
  }
  return found;
}

Ending failed(Status status, std::string message, std::string hint = {}) {
  return {State::failed, Failure{status, std::move(message), std::move(hint), {}, {}}, {}};
}

State success(const Attempt &attempt) {
  const Verdict said =
      attempt.verdict.value_or(attempt.operation == Operation::plan ? Verdict::unknown : Verdict::change);
  if (said == Verdict::up_to_date) return State::unchanged;
  return attempt.operation == Operation::plan ? State::unknown : State::changed;
}

Ending died(const Attempt &attempt, const ExitReport &exit, const Node &node) {
  if (exit.signal == 0) {
    return failed(Status::internal,
                  fmt::format("plugin '{}' exited (code {}) without finishing", node.uses, exit.code),
                  "a plugin returns from its operation and never calls exit(); report this to its author");
  }
  const std::string name = signal_name(exit.signal);
  if (exit.signal == SIGKILL || exit.signal == SIGTERM) {
    return failed(Status::internal, fmt::format("plugin '{}' was killed ({})", node.uses, name),
                  exit.signal == SIGKILL && attempt.signalled == 0
                      ? "nobody here did that: see the kernel's log for a lack of memory"
                      : "");
  }
  return failed(
      Status::internal, fmt::format("plugin '{}' crashed ({})", node.uses, name),
      fmt::format("this is a fault in {}: report it to its author with the log; PIPE_ATTACH={} stops "
                  "the step before it runs, for a debugger",
                  node.plugin.string(), node.uses));
}

}  // namespace

void Attempt::take(const StepReport &report, const StepSchema *schema) {
  if (const auto *said = std::get_if<OutputReport>(&report)) {
    const Output *declared = schema == nullptr ? nullptr : schema->output(said->name);
    if (declared == nullptr) {
      broken = fmt::format("gave an output '{}' that it does not declare", said->name);
    } else if (std::string problem = said->value.is_null() ? "" : misfit(*declared, said->value);
               !problem.empty()) {
      broken = std::move(problem);
    } else {
      std::erase_if(outputs, [&](const auto &pair) { return pair.first == said->name; });
      outputs.emplace_back(said->name, said->value);
    }
  } else if (const auto *judged = std::get_if<VerdictReport>(&report)) {
    verdict = judged->verdict;
    summary = judged->summary;
  } else if (const auto *differs = std::get_if<DiffReport>(&report)) {
    diffs.push_back(differs->diff);
  } else if (const auto *failure = std::get_if<FailReport>(&report)) {
    told = *failure;
  } else if (const auto *end = std::get_if<DoneReport>(&report)) {
    done = end->status;
  }
}

Ending conclude(const Attempt &attempt, const ExitReport &exit, const Node &node) {
  if (!exit.problem.empty()) return failed(Status::internal, exit.problem);
  if (!attempt.broken.empty()) {
    return failed(Status::internal, fmt::format("plugin '{}' {}", node.uses, attempt.broken),
                  "its code and its metadata disagree; report this to its author");
  }
  // What was finished counts, even if the order to stop came meanwhile.
  if (attempt.done == Status::ok) return {success(attempt), std::nullopt, {}};
  if (attempt.stop == Stop::cancel) {
    return {State::cancelled, Failure{Status::cancelled, "cancelled", {}, {}, {}}, {}};
  }
  if (attempt.stop == Stop::timeout) {
    return failed(Status::timeout,
                  fmt::format("took longer than its timeout of {}",
                              format_duration(node.timeout.value_or(Millis{0}).count())),
                  "raise `timeout`, if it needs the time");
  }
  if (!attempt.done) return died(attempt, exit, node);
  if (attempt.told) {
    Ending ending = failed(*attempt.done, attempt.told->message, attempt.told->hint);
    ending.retry_after = attempt.told->retry_after;
    return ending;
  }
  return failed(*attempt.done, fmt::format("plugin '{}' failed ({}) and did not say why", node.uses,
                                           status_name(*attempt.done)));
}

}  // namespace pipes
