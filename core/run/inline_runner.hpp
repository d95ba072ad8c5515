#pragma once
#include "core/run/memory.hpp"
#include "core/run/step_runner.hpp"

namespace pipes {

/// Runs each step in this process (`--isolation=none`), for debuggers and profilers: a crash is a crash
/// of the runner, nothing can be stopped half-way, and what a plugin prints goes where it prints it.
class InlineRunner final : public StepRunner {
 public:
  explicit InlineRunner(Memory &memory) : memory_(memory) {}
  void start(std::uint32_t node, const StepOrder &) override;
  void ask_to_stop(std::uint32_t) override {}
  void signal(std::uint32_t, int) override {}
  std::vector<Happening> wait(std::optional<TimePoint> until) override;

 private:
  Memory &memory_;
  std::vector<Happening> happened_;
};

}  // namespace pipes
