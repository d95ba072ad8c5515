#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "sdk/oci/pace.hpp"
#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;
using pipes::oci::testing::Quiet;
using Clock = std::chrono::steady_clock;

std::size_t enter_all(Pace &pace) {
  std::size_t count = 0;
  while (pace.try_enter()) ++count;
  for (std::size_t i = 0; i < count; ++i) pace.leave();
  return count;
}

TEST(Pace, LetsInAsManyAsAreAllowed) {
  Pace pace(3, 0);
  EXPECT_EQ(enter_all(pace), 3u);
}

TEST(Pace, HalvesAfterAComplaintAndNeverStopsAltogether) {
  Clock::time_point now{1h};
  Pace pace(0, 0, [&] { return now; });
  const std::size_t before = enter_all(pace);
  pace.complained();
  EXPECT_EQ(enter_all(pace), before / 2);
  pace.complained();
  EXPECT_EQ(enter_all(pace), before / 2) << "the same complaint, heard by another request";
  for (int i = 0; i < 8; ++i) {
    now += 110ms;
    pace.complained();
  }
  EXPECT_EQ(enter_all(pace), 1u);
}

TEST(Pace, GrowsWithTimeWhereMoreIsWanted) {
  Quiet observer;
  Clock::time_point now{1h};
  Pace pace(0, 0, [&] { return now; });
  const std::size_t before = enter_all(pace);
  for (std::size_t i = 0; i < before; ++i) pace.enter(observer);
  now += 1s;
  pace.enter(observer);  // waits for nobody to leave
  EXPECT_FALSE(pace.has_room());
}

TEST(Pace, WaitsUntilSomebodyLeaves) {
  Quiet observer;
  Pace pace(1, 0);
  pace.enter(observer);
  const Clock::time_point begun = Clock::now();
  std::jthread other([&] {
    std::this_thread::sleep_for(50ms);
    pace.leave();
  });
  pace.enter(observer);
  EXPECT_GE(Clock::now() - begun, 40ms);
}

TEST(Pace, EndsWaitingOnceCancelled) {
  Quiet observer;
  Pace pace(1, 0);
  pace.enter(observer);
  observer.stop();
  EXPECT_THROW(pace.enter(observer), sdk::Error);
}

TEST(Pace, KeepsToARate) {
  Quiet observer;
  Pace pace(0, 1'000'000);
  const Clock::time_point begun = Clock::now();
  for (int i = 0; i < 30; ++i) pace.spend(10'000, observer);
  EXPECT_GE(Clock::now() - begun, 240ms);  // 300 ms less the burst
}

}  // namespace
}  // namespace pipes::oci
