#include "sdk/engine/podman_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pipes::engine {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

MachineFacts ordinary() {
  return {.crun = true,
          .runc = true,
          .hybrid_cgroups = false,
          .root = true,
          .may_raise_limits = true,
          .open_files = 1048576,
          .processes = 63000,
          .pid_max = 4194304};
}

TEST(PodmanConfig, AnOrdinaryMachineNeedsNone) {
  EXPECT_THAT(needed_config(ordinary()).text, IsEmpty());
  EXPECT_THAT(needed_config(ordinary()).reasons, IsEmpty());
}

TEST(PodmanConfig, HybridCgroupsNeedRuncWhereThereIsCrun) {
  MachineFacts facts = ordinary();
  facts.hybrid_cgroups = true;
  EXPECT_EQ(needed_config(facts).text, "[engine]\nruntime = \"runc\"\n");
  facts.crun = false;  // podman takes runc by itself
  EXPECT_THAT(needed_config(facts).text, IsEmpty());
  facts.crun = true;
  facts.runc = false;  // nothing to offer
  EXPECT_THAT(needed_config(facts).text, IsEmpty());
}

TEST(PodmanConfig, LimitsThatMayNotBeRaisedAreTaken) {
  MachineFacts facts = ordinary();
  facts.may_raise_limits = false;
  facts.open_files = 20000;
  const PodmanConfig config = needed_config(facts);
  EXPECT_EQ(config.text, "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=63000:63000\"]\n");
  EXPECT_THAT(config.reasons,
              testing::ElementsAre("limits that need not be raised (nofile 20000, nproc 63000)"));
}

TEST(PodmanConfig, PodmanLowersItsProcessesToPidMaxFirst) {
  MachineFacts facts = ordinary();
  facts.may_raise_limits = false;
  facts.pid_max = 32768;
  EXPECT_EQ(needed_config(facts).text, "[containers]\ndefault_ulimits = [\"nproc=32768:32768\"]\n");
}

TEST(PodmanConfig, HighLimitsNeedNone) {
  MachineFacts facts = ordinary();
  facts.may_raise_limits = false;
  facts.processes = 4194304;
  EXPECT_THAT(needed_config(facts).text, IsEmpty());
}

TEST(PodmanConfig, RootlessPodmanAsksForWhatItHas) {
  MachineFacts facts = ordinary();
  facts.root = facts.may_raise_limits = false;
  facts.open_files = 1024;
  EXPECT_THAT(needed_config(facts).text, IsEmpty());
}

}  // namespace
}  // namespace pipes::engine
