#pragma once
// How much one host is asked for: so many things at once, so many bytes a second. For .cpp files of this
// folder only.
#include <pipe/error.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>

namespace pipes::oci {

/// Waits, or throws PIPE_E_CANCELLED once `observer` is.
void sleep_until(std::chrono::steady_clock::time_point until, const sdk::Observer &observer);

/// Additive increase, multiplicative decrease, as TCP does: one more at once after each second without a
/// complaint, half as many after one. Any thread.
class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  /// `most` at once; 0: as many as serves. `rate` in bytes a second; 0: any.
  Pace(std::size_t most, std::uint64_t rate, std::function<Clock::time_point()> now = Clock::now);

  /// Waits until one more thing may be asked for. Who has entered leaves again.
  void enter(const sdk::Observer &);
  void leave();
  /// Enters where that needs no waiting.
  bool try_enter();
  bool has_room();
  /// The host said 429 or 503.
  void complained();
  /// Waits as long as `bytes` take at the rate that is allowed.
  void spend(std::size_t bytes, const sdk::Observer &);

 private:
  const std::size_t most_;
  const std::uint64_t rate_;
  const std::function<Clock::time_point()> now_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t limit_, inside_ = 0;
  Clock::time_point grown_ = now_(), complained_{};
  Clock::time_point paid_until_{};
};

/// One who has entered.
class Turn {
 public:
  Turn(Pace &pace, const sdk::Observer &observer) : pace_(pace) { pace_.enter(observer); }
  ~Turn() { pace_.leave(); }
  Turn(const Turn &) = delete;
  Turn &operator=(const Turn &) = delete;

 private:
  Pace &pace_;
};

}  // namespace pipes::oci
