#pragma once
// A container that was started is waited for.
#include "converge.hpp"

namespace run_step {

/// Waits until the container does its work, as `ready` says; returns it as it is then. Throws PIPE_E_IO (it
/// ended, or keeps ending), PIPE_E_TIMEOUT, with the last lines of its log.
engine::Container wait_until_ready(Job &, const std::string &id);

/// The same after starting it.
engine::Container start_and_wait(Job &, const std::string &id);

/// Sleeps, unless the step is cancelled (throws).
void pause(const sdk::Observer &, std::chrono::milliseconds);

}  // namespace run_step
