#pragma once
#include <chrono>

namespace pipes {

/// How often a step is tried when it fails in a way that may pass.
struct Retry {
  int attempts = 1;
  std::chrono::milliseconds delay{1000}, max_delay{30000};
  double factor = 2.0;
  bool jitter = true;
};

}  // namespace pipes
