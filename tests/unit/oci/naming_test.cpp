#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/naming.hpp>

#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;
using namespace pipes::oci::testing;

TEST(StoreName, IsANameWithATag) {
  EXPECT_EQ(store_name("app"), "docker.io/library/app:latest");
  EXPECT_THAT(error_of([] { store_name("oci:x"); }).message, HasSubstr("is a place"));
  EXPECT_THAT(error_of([] { store_name("app@" + digest_of("x").str()); }).message, HasSubstr("has a digest"));
}

class NameChangeTest : public ::testing::Test {
 protected:
  TempDir dir_;
  Store store_{dir_ / "store"};
  Descriptor one_ = make_image(store_, "one"), two_ = make_image(store_, "two");
};

TEST_F(NameChangeTest, RemovesANameThatWasNew) {
  store_.tag("app:1", one_);
  const std::optional<NameChange> change = NameChange::parse(NameChange{{}, one_}.str());
  ASSERT_TRUE(change);
  EXPECT_TRUE(change->take_back("app:1", store_));
  EXPECT_FALSE(store_.resolve("app:1"));
}

TEST_F(NameChangeTest, PointsAMovedNameBack) {
  store_.tag("app:1", two_);
  EXPECT_TRUE(NameChange::parse(NameChange{one_, two_}.str())->take_back("app:1", store_));
  EXPECT_EQ(store_.resolve("app:1")->digest, one_.digest);
}

TEST_F(NameChangeTest, BringsADroppedNameBack) {
  EXPECT_TRUE(NameChange::parse(NameChange{one_, {}}.str())->take_back("app:1", store_));
  EXPECT_EQ(store_.resolve("app:1")->digest, one_.digest);
}

TEST_F(NameChangeTest, LeavesWhatSomebodyElseChanged) {
  store_.tag("app:1", two_);
  const NameChange change{{}, one_};
  EXPECT_FALSE(change.take_back("app:1", store_));
  EXPECT_EQ(store_.resolve("app:1")->digest, two_.digest);
}

TEST(NameChange, IsNothingWhereTheTextIsNone) {
  EXPECT_FALSE(NameChange::parse(""));
  EXPECT_FALSE(NameChange::parse("{}"));
}

}  // namespace
}  // namespace pipes::oci
