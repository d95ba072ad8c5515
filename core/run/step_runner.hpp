#pragma once
#include "core/run/clock.hpp"
#include "core/run/message.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace pipes {

/// What a wait brought: something a step said, or a signal for the whole run.
struct Happening {
  static constexpr std::uint32_t kWholeRun = UINT32_MAX;
  std::uint32_t node = kWholeRun;
  StepReport report;
  int interrupt = 0;  // SIGINT, SIGTERM or SIGHUP; then there is no report
};

/// Starts steps and tells how they fare: the seam between the scheduler and real processes.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  /// Never throws for a step's sake: what goes wrong is its ExitReport. One attempt of a node at a time.
  virtual void start(std::uint32_t node, const StepOrder &) = 0;
  /// Asks the step to stop: its cancel descriptor becomes readable.
  virtual void ask_to_stop(std::uint32_t node) = 0;
  /// Sends a signal to the step and all it started.
  virtual void signal(std::uint32_t node, int signal) = 0;
  /// Waits until something happens or `until` has come; nullopt: as long as it takes. The last report
  /// of a step is its ExitReport.
  virtual std::vector<Happening> wait(std::optional<TimePoint> until) = 0;
};

}  // namespace pipes
