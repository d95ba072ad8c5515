#pragma once
#include "core/base/fd.hpp"

#include <sys/types.h>

#include <csignal>
#include <string>

namespace pipes {

/// The exit code of a step process that cannot reach the runner any more.
inline constexpr int kChannelLost = 113;

/// What all processes of a zygote have in common: found out once, by the zygote.
struct StepProcessFacts {
  StepProcessFacts();
  const char *attach;        // $PIPE_ATTACH: the step to stop for a debugger; may be nullptr
  std::string sample_order;  // to rehearse with
};

/// What a fresh step process is born with.
struct StepProcess {
  const StepProcessFacts &facts;
  pid_t parent;
  sigset_t signal_mask;
  UniqueFd messages, output, cancel;
};

/// The life of a step process, from fork to _exit: makes it independent of its parent (plugin-abi.md
/// A3.5), takes its order from the socket and runs it.
[[noreturn]] void run_step_process(StepProcess);

}  // namespace pipes
