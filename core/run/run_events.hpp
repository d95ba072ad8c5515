#pragma once
#include "core/plan/steps.hpp"
#include "core/run/attempt.hpp"
#include "core/run/clock.hpp"
#include "core/run/event.hpp"

#include <cstdint>
#include <string>

namespace pipes {

/// Makes the events of a run and hands them to `sink`, and counts how its steps ended. What it is given
/// must outlive it.
class RunEvents {
 public:
  RunEvents(const Plan &plan, const Clock &clock, EventSink &sink, Operation operation)
      : plan_(plan), clock_(clock), sink_(sink), operation_(operation), started_(clock.now()) {}

  /// Tells `about`, and of the steps of `chosen`.
  void run_started(const Value::Map &about, const Chosen &chosen) const;
  void run_ended(const std::string &status, const Value::Map &outputs) const;
  /// An event of one step, with all that is the same in each of them.
  Event of_step(Event::Type, std::uint32_t node, const Attempt &) const;
  /// The next attempt comes after `delay`.
  void step_retried(std::uint32_t node, const Attempt &, const Failure &, Millis delay);
  void step_ended(std::uint32_t node, const Attempt &, const Ending &, std::string summary);
  /// Counts a step that never started, of which there is no event.
  void not_run() { ++counts_.not_run; }
  const Counts &counts() const { return counts_; }

 private:
  Event event(Event::Type) const;
  void count(const Attempt &, const Ending &);

  const Plan &plan_;
  const Clock &clock_;
  EventSink &sink_;
  Operation operation_;
  TimePoint started_;
  Counts counts_;
};

}  // namespace pipes
