#pragma once
#include <chrono>

namespace pipes {

using TimePoint = std::chrono::steady_clock::time_point;
using Millis = std::chrono::milliseconds;

/// The time, so that tests need not wait for it.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const { return std::chrono::steady_clock::now(); }
  virtual std::chrono::system_clock::time_point wall() const { return std::chrono::system_clock::now(); }
};

}  // namespace pipes
