#include "sdk/engine/sightings.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pipes::engine {
namespace {

Sighting example() {
  Sighting seen{"stamp", "4.3.1", "1.41", process_identity(::getpid()), {}};
  Container &container = seen.container;
  container.id = "abc";
  container.name = "registry";
  container.pid = ::getpid();
  container.image_id = "sha256:1";
  container.bound_ports = {{"5000/tcp", "127.0.0.1", "5000"}};
  container.spec.mounts = {{"volume", "data", "/d", true}};
  container.spec.env = {{"PASSWORD", "hunter2"}};
  container.env_salt = "salt";
  container.env_hashes = {{"PASSWORD", env_hash("salt", "PASSWORD", "hunter2")}};
  return seen;
}

TEST(Sighting, ReadsBackWhatItWrote) {
  const auto seen = parse_sighting(to_json(example()));
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->container.seen_earlier);
  EXPECT_EQ(seen->container.state, "running");
  EXPECT_EQ(seen->container.bound_ports, example().container.bound_ports);
  EXPECT_EQ(seen->container.spec.mounts, example().container.spec.mounts);
}

TEST(Sighting, KnowsValuesOfEnvWithoutKeepingThem) {
  const std::string text = to_json(example());
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  const auto seen = parse_sighting(text);
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->container.has_env("PASSWORD", "hunter2"));
  EXPECT_FALSE(seen->container.has_env("PASSWORD", "hunter3"));
  EXPECT_FALSE(seen->container.has_env("OTHER", "hunter2"));
}

TEST(Sighting, AFileOfAnotherFormIsNone) {
  for (const char *text : {"", "[]", "{}", "{\"podman\":1}"}) EXPECT_FALSE(parse_sighting(text)) << text;
}

TEST(ProcessIdentity, EndsWithTheProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  std::string before;
  while (before.empty()) before = process_identity(child);
  EXPECT_EQ(process_identity(child), before);
  EXPECT_NE(process_identity(::getpid()), before);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NE(process_identity(child), before);
  EXPECT_EQ(process_identity(0), "");
}

}  // namespace
}  // namespace pipes::engine
