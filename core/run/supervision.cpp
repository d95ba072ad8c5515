// The part of Scheduler that listens to the steps that run, and stops them.
#include "core/run/scheduler.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace pipes {
namespace {

/// What a step misses may be what an earlier one makes: an image, a registry that answers.
bool may_pass(Status status) {
  return status == Status::not_found || status == Status::transient || status == Status::timeout;
}

}  // namespace

void Scheduler::wait_once() {
  std::optional<TimePoint> until = next_deadline();
  if (const auto tick = sink_.next_tick(); tick && (!until || *tick < *until)) until = tick;
  for (const Happening &happening : runner_.wait(until)) hear(happening);
  escalate();
  if (const auto tick = sink_.next_tick(); tick && *tick <= clock_.now()) sink_.tick();
}

void Scheduler::hear(const Happening &happening) {
  if (happening.node == Happening::kWholeRun) return interrupt(happening.interrupt);
  const auto at = running_.find(happening.node);
  if (at == running_.end()) return;
  Attempt &attempt = at->second;
  if (const auto *exit = std::get_if<ExitReport>(&happening.report)) return finish(happening.node, *exit);
  if (const auto *log = std::get_if<LogReport>(&happening.report)) {
    Event said = events_.of_step(Event::Type::log, happening.node, attempt);
    said.level = log->level;
    said.message = log->message;
    said.fields = log->fields;
    return sink_.on(said);
  }
  if (const auto *text = std::get_if<TextReport>(&happening.report)) {
    Event wrote = events_.of_step(Event::Type::output, happening.node, attempt);
    wrote.message = text->bytes;
    return sink_.on(wrote);
  }
  if (const auto *progress = std::get_if<ProgressReport>(&happening.report)) {
    Event moved = events_.of_step(Event::Type::progress, happening.node, attempt);
    moved.progress = *progress;
    return sink_.on(moved);
  }
  attempt.take(happening.report, plan_.nodes[happening.node].schema);
}

void Scheduler::finish(std::uint32_t node, const ExitReport &exit) {
  Attempt attempt = std::move(running_.at(node));
  running_.erase(node);
  const Node &what = plan_.nodes[node];
  Ending ending = conclude(attempt, exit, what);
  const bool again = ending.failure && worth_retrying(ending.failure->status) &&
                     attempt.operation == Operation::run && attempt.number < what.retry.attempts &&
                     (in_finally_ || !stopping());
  if (again) return retry_later(node, attempt, std::move(ending));
  if (attempt.operation == Operation::plan && ending.failure && may_pass(ending.failure->status)) {
    if (const auto before = still_to_run(node)) {
      attempt.verdict = Verdict::unknown;
      attempt.summary =
          fmt::format("known once `{}` has run: {}", plan_.nodes[*before].id, ending.failure->message);
      ending = {State::unknown, std::nullopt, {}};
    }
  }
  events_.step_ended(node, attempt, ending, attempt.summary);
  if (attempt.operation == Operation::undo) {
    if (ending.failure) failed_ = true;
    return;  // what it has taken back it has forgotten itself; data that stayed is for `--data`
  }
  if (attempt.operation == Operation::run) {
    finished_.push_back(node);
    if (!ending.failure && !attempt.outputs.empty()) memory_.keep_outputs(what.id, attempt.outputs);
  }
  results_[node].outputs = std::move(attempt.outputs);
  settle(node, ending.state);
}

void Scheduler::retry_later(std::uint32_t node, const Attempt &attempt, Ending ending) {
  const Millis delay =
      retry_delay(plan_.nodes[node].retry, attempt.number, ending.retry_after, options_.random());
  events_.step_retried(node, attempt, *ending.failure, delay);
  last_tries_.emplace(node, std::move(ending));
  waiting_.push({clock_.now() + delay, node, attempt.number + 1});
}

/// Nothing new starts any more: steps that wait for another attempt have failed with their last one.
void Scheduler::drop_waiting() {
  if (in_finally_ || !stopping()) return;
  while (!waiting_.empty()) {
    const std::uint32_t node = waiting_.top().node;
    waiting_.pop();
    const auto last = last_tries_.extract(node);
    finished_.push_back(node);
    end_without_run(node, interrupts_ > 0 ? State::cancelled : State::failed, {}, last.mapped().failure);
  }
}

void Scheduler::interrupt(int signal) {
  if (interrupts_++ == 0) first_interrupt_ = signal;
  // The first lets `finally` and rollback be: only a second one stops those.
  for (auto &[node, attempt] : running_) {
    if (interrupts_ == 1) {
      if (!in_finally_ && (attempt.operation != Operation::undo || options_.operation == Operation::undo)) {
        stop(node, attempt, Stop::cancel);
      }
    } else {
      attempt.stop = Stop::cancel;
      attempt.next_step.reset();
      attempt.signalled = SIGKILL;
      runner_.signal(node, SIGKILL);
    }
  }
}

void Scheduler::stop(std::uint32_t node, Attempt &attempt, Stop why) {
  if (attempt.stop != Stop::no) return;
  attempt.stop = why;
  attempt.next_step = clock_.now() + options_.grace.before_term;
  runner_.ask_to_stop(node);
}

/// Steps whose time is up, or who do not stop when asked to.
void Scheduler::escalate() {
  const TimePoint now = clock_.now();
  for (auto &[node, attempt] : running_) {
    if (!attempt.next_step || *attempt.next_step > now) continue;
    if (attempt.stop == Stop::no) {
      stop(node, attempt, Stop::timeout);
    } else if (attempt.signalled == 0) {
      attempt.signalled = SIGTERM;
      attempt.next_step = now + options_.grace.before_kill;
      runner_.signal(node, SIGTERM);
    } else {
      attempt.signalled = SIGKILL;
      attempt.next_step.reset();
      runner_.signal(node, SIGKILL);
    }
  }
  drop_waiting();
}

std::optional<TimePoint> Scheduler::next_deadline() const {
  std::optional<TimePoint> next;
  const auto earlier = [&next](TimePoint at) { next = next ? std::min(*next, at) : at; };
  for (const auto &[node, attempt] : running_) {
    if (attempt.next_step) earlier(*attempt.next_step);
  }
  // Nothing to wake up for while every place is taken.
  if (!waiting_.empty() && running_.size() < static_cast<std::size_t>(std::max(options_.jobs, 1))) {
    earlier(waiting_.top().until);
  }
  return next;
}

}  // namespace pipes
