#include "sdk/engine/api_version.hpp"

#include <gtest/gtest.h>

#include <pipe/error.hpp>

namespace pipes::engine {
namespace {

TEST(ApiVersion, ComparesAsNumbers) {
  EXPECT_LT(ApiVersion::parse("1.9"), ApiVersion::parse("1.44"));
  EXPECT_GT(ApiVersion::parse("2.0"), ApiVersion::parse("1.99"));
  EXPECT_EQ(ApiVersion::parse("1.41").str(), "1.41");
}

TEST(ApiVersion, RejectsWhatIsNone) {
  for (const char *text : {"", "1", "1.", ".4", "v1.41", "1.41.2", "1.x"})
    EXPECT_THROW(ApiVersion::parse(text), sdk::Error) << text;
}

TEST(ApiVersion, TakesTheLowerOfBothNewest) {
  EXPECT_EQ(negotiate({1, 12}, {1, 41}, "docker").str(), "1.41");
  EXPECT_EQ(negotiate({1, 44}, {1, 99}, "docker"), kNewestApi);
}

TEST(ApiVersion, SaysWhichSideIsTooOld) {
  try {
    negotiate({9, 0}, {9, 9}, "docker 99.0");
    FAIL() << "no version in common, and no error";
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.message,
              "docker 99.0 speaks no API version below 9.0, and pipe none above " + kNewestApi.str());
    EXPECT_EQ(error.hint, "install a newer pipe");
  }
  try {
    negotiate({1, 0}, {1, 20}, "docker 1.8");
    FAIL() << "too old, and no error";
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.hint, "install a newer engine");
  }
}

}  // namespace
}  // namespace pipes::engine
