#include <gtest/gtest.h>
#include <pipe/error.hpp>

#include <chrono>
#include <cstdlib>

#include "sdk/oci/no_progress.hpp"

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;

class NoProgressTest : public ::testing::Test {
 protected:
  void TearDown() override { ::unsetenv("PIPE_NO_PROGRESS_SECONDS"); }
  static void say(const char *value) { ::setenv("PIPE_NO_PROGRESS_SECONDS", value, 1); }
};

TEST_F(NoProgressTest, IsWhatIsUsualWhereNobodySaysOtherwise) {
  EXPECT_EQ(no_progress_limit(60s), 60s);
  say("");
  EXPECT_EQ(no_progress_limit(60s), 60s);
}

TEST_F(NoProgressTest, IsWhatTheEnvironmentSays) {
  say("1");
  EXPECT_EQ(no_progress_limit(60s), 1s);
  say("3600");
  EXPECT_EQ(no_progress_limit(60s), 3600s);
}

TEST_F(NoProgressTest, RefusesWhatIsNoNumberOfSeconds) {
  for (const char *wrong : {"0", "-1", "1m", "1.5", "86401", "99999999999", " 1"}) {
    say(wrong);
    EXPECT_THROW(no_progress_limit(60s), sdk::Error) << wrong;
  }
}

}  // namespace
}  // namespace pipes::oci
