#pragma once
#include "core/plan/plan.hpp"
#include "core/run/message.hpp"

#include <chrono>

namespace pipes {

/// Whether another attempt may help.
bool worth_retrying(Status);
/// How long to wait after attempt number `attempt` (from 1) failed. `random` is in [0, 1): jitter takes
/// up to half of the delay away, so that many clients do not come back at once. What the other side
/// asked for is a floor that no limit of ours lowers (short of a day).
std::chrono::milliseconds retry_delay(const Retry &, int attempt, std::chrono::milliseconds asked,
                                      double random);

}  // namespace pipes
