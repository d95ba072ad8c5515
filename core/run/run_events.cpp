#include "core/run/run_events.hpp"

#include "core/run/resumption.hpp"

namespace pipes {
namespace {

using State = NodeResult::State;

Millis since(TimePoint from, TimePoint to) {
  return std::chrono::duration_cast<Millis>(to - from);
}

}  // namespace

Event RunEvents::event(Event::Type type) const {
  Event e;
  e.type = type;
  e.time = clock_.wall();
  e.operation = operation_;
  return e;
}

Event RunEvents::of_step(Event::Type type, std::uint32_t node, const Attempt &attempt) const {
  Event e = event(type);
  const Node &what = plan_.nodes[node];
  e.step = what.id;
  e.uses = what.uses;
  e.index = node;
  e.operation = attempt.operation;
  e.attempt = attempt.number;
  e.attempts = what.retry.attempts;
  e.elapsed = since(attempt.started, clock_.now());
  return e;
}

void RunEvents::step_ended(std::uint32_t node, const Attempt &attempt, const Ending &ending,
                           std::string summary) {
  Event end = of_step(Event::Type::step_ended, node, attempt);
  end.state = ending.state;
  end.verdict = attempt.verdict.value_or(Verdict::unknown);
  end.summary = std::move(summary);
  end.params = attempt.params;
  end.why = attempt.why;
  end.kept = attempt.kept;
  end.diffs = attempt.diffs;
  end.fields = attempt.outputs;
  end.failure = ending.failure;
  if (end.failure) end.failure->given = given_params(plan_.nodes[node].schema, attempt.params);
  sink_.on(end);
  count(attempt, ending);
}

void RunEvents::run_started(const Value::Map &about, const Chosen &chosen) const {
  Event start = event(Event::Type::run_started);
  start.pipeline = plan_.name;
  start.file = plan_.file;
  start.fields = about;
  start.steps = described_steps(plan_, chosen, operation_ == Operation::run);
  sink_.on(start);
}

void RunEvents::run_ended(const std::string &status, const Value::Map &outputs) const {
  Event end = event(Event::Type::run_ended);
  end.pipeline = plan_.name;
  end.status = status;
  end.counts = counts_;
  end.fields = outputs;
  end.elapsed = since(started_, clock_.now());
  sink_.on(end);
}

void RunEvents::step_retried(std::uint32_t node, const Attempt &attempt, const Failure &failure,
                             Millis delay) {
  Event again = of_step(Event::Type::step_retried, node, attempt);
  again.failure = failure;
  again.elapsed = delay;
  sink_.on(again);
  ++counts_.retried;
}

void RunEvents::count(const Attempt &attempt, const Ending &ending) {
  switch (ending.state) {
    case State::changed:
      ++(attempt.operation == Operation::undo ? counts_.undone : counts_.changed);
      return;
    case State::unchanged:
      ++counts_.unchanged;
      return;
    case State::skipped:
      ++counts_.skipped;
      return;
    case State::failed:
      ++counts_.failed;
      return;
    case State::cancelled:
      ++counts_.cancelled;
      return;
    case State::unknown:
      break;
    case State::pending:
      return;
  }
  switch (attempt.verdict.value_or(Verdict::unknown)) {
    case Verdict::create:
      ++counts_.create;
      return;
    case Verdict::change:
      ++counts_.change;
      return;
    case Verdict::replace:
      ++counts_.replace;
      return;
    case Verdict::remove:
      ++counts_.remove;
      return;
    case Verdict::up_to_date:
    case Verdict::unknown:
      ++counts_.unknown;
      return;
  }
}

}  // namespace pipes
