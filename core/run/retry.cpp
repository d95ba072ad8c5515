#include "core/run/retry.hpp"

#include <algorithm>
#include <cmath>

namespace pipes {
namespace {

// Nobody means more by a Retry-After than this; beyond lies arithmetic that overflows.
constexpr std::chrono::hours kLongest{24};

}  // namespace

bool worth_retrying(Status status) {
  return status == Status::transient || status == Status::timeout;
}

std::chrono::milliseconds retry_delay(const Retry &retry, int attempt, std::chrono::milliseconds asked,
                                      double random) {
  const auto limit = static_cast<double>(retry.max_delay.count());
  double delay = static_cast<double>(retry.delay.count()) * std::pow(retry.factor, attempt - 1);
  // Not std::min alone: the power overflows to infinity, or is no number at all.
  delay = std::isfinite(delay) ? std::clamp(delay, 0.0, limit) : limit;
  if (retry.jitter) delay *= 1.0 - random / 2;
  return std::max(std::min<std::chrono::milliseconds>(asked, kLongest),
                  std::chrono::milliseconds(static_cast<std::int64_t>(delay)));
}

}  // namespace pipes
