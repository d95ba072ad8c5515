#include "pace.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFirst = 8;  // what most tools dare
constexpr std::size_t kMost = 16;
constexpr auto kGrowEvery = 1s;
// So much may go out at once before waiting begins, or small pieces would each cost a sleep.
constexpr auto kBurst = 50ms;

}  // namespace

void sleep_until(std::chrono::steady_clock::time_point until, const sdk::Observer &observer) {
  using Clock = std::chrono::steady_clock;
  for (Clock::duration left; (left = until - Clock::now()) > 0s;) {
    observer.check_cancelled();
    pollfd cancel{observer.cancel_fd(), POLLIN, 0};
    const auto pause = std::chrono::ceil<std::chrono::milliseconds>(std::min<Clock::duration>(left, 500ms));
    ::poll(&cancel, 1, static_cast<int>(pause.count()));
  }
}

Pace::Pace(std::size_t most, std::uint64_t rate, std::function<Clock::time_point()> now)
    : most_(most == 0 ? kMost : most), rate_(rate), now_(std::move(now)), limit_(std::min(most_, kFirst)) {}

void Pace::enter(const sdk::Observer &observer) {
  std::unique_lock lock(mutex_);
  while (inside_ >= limit_) {
    observer.check_cancelled();
    changed_.wait_for(lock, 200ms);
    if (const Clock::time_point now = now_(); now - grown_ >= kGrowEvery && limit_ < most_) {
      ++limit_;
      grown_ = now;
    }
  }
  ++inside_;
}

void Pace::leave() {
  {
    const std::lock_guard lock(mutex_);
    --inside_;
  }
  changed_.notify_one();
}

bool Pace::try_enter() {
  const std::lock_guard lock(mutex_);
  if (inside_ >= limit_) return false;
  ++inside_;
  return true;
}

bool Pace::has_room() {
  const std::lock_guard lock(mutex_);
  return inside_ < limit_;
}

void Pace::complained() {
  const std::lock_guard lock(mutex_);
  // Many requests that are under way hear the same complaint: it counts once.
  const Clock::time_point now = now_();
  if (now - complained_ < 100ms) return;
  complained_ = now;
  limit_ = std::max<std::size_t>(1, limit_ / 2);
  grown_ = now;
}

void Pace::spend(std::size_t bytes, const sdk::Observer &observer) {
  if (rate_ == 0) return;
  Clock::time_point until;
  {
    const std::lock_guard lock(mutex_);
    const auto cost = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate_)));
    paid_until_ = std::max(paid_until_, Clock::now() - kBurst) + cost;
    until = paid_until_;
  }
  sleep_until(until, observer);
}

}  // namespace pipes::oci
