#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <pipe/engine/spec.hpp>

#include <fstream>

namespace pipes::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ParsePort, ReadsWhatDockerReads) {
  EXPECT_EQ(parse_port("5000"), (PortBinding{"5000/tcp", "", ""}));
  EXPECT_EQ(parse_port("8080:5000"), (PortBinding{"5000/tcp", "", "8080"}));
  EXPECT_EQ(parse_port("127.0.0.1:8080:5000/udp"), (PortBinding{"5000/udp", "127.0.0.1", "8080"}));
  EXPECT_EQ(parse_port("127.0.0.1::5000"), (PortBinding{"5000/tcp", "127.0.0.1", ""}));
  EXPECT_EQ(parse_port("127.0.0.1:0:5000"), (PortBinding{"5000/tcp", "127.0.0.1", ""}));
  EXPECT_EQ(parse_port("[::1]:8080:5000"), (PortBinding{"5000/tcp", "::1", "8080"}));
  EXPECT_EQ(parse_port("[::1]::5000"), (PortBinding{"5000/tcp", "::1", ""}));
}

TEST(ParsePort, NamesThePartThatIsWrong) {
  const std::vector<std::pair<const char *, const char *>> cases = {
      {"", "`` is no port"},
      {"0", "`0` is no port"},
      {"65536", "`65536` is no port"},
      {"http:5000", "`http` is no port"},
      {"8000-8010:8000-8010", "ranges are not supported"},
      {"5000/icmp", "`icmp` is no protocol"},
      {"localhost:5000:5000", "`localhost` is no IP address"},
      {"1:2:3:4", "`1:2` is no IP address"},
  };
  for (const auto &[text, part] : cases) {
    try {
      parse_port(text);
      FAIL() << text;
    } catch (const sdk::Error &error) {
      EXPECT_THAT(error.message, HasSubstr(part)) << text;
      EXPECT_EQ(error.status, PIPE_E_INVALID);
    }
  }
}

TEST(ParseMount, TellsVolumesFromPaths) {
  EXPECT_EQ(parse_mount("data:/var/lib/registry"), (Mount{"volume", "data", "/var/lib/registry", false}));
  EXPECT_EQ(parse_mount("/srv//data/:/d/"), (Mount{"bind", "/srv/data", "/d", false}));
  EXPECT_EQ(parse_mount("/etc/localtime:/etc/localtime:ro"),
            (Mount{"bind", "/etc/localtime", "/etc/localtime", true}));
}

TEST(ParseMount, NamesThePartThatIsWrong) {
  const std::vector<std::pair<const char *, const char *>> cases = {
      {"/data", "no source or no target"},     {"./data:/d", "`./data` is neither"},
      {"data:d", "`d` is no absolute path"},   {"data:/d:rx", "`rx` is neither ro nor rw"},
      {"a:/b:ro:x", "no source or no target"},
  };
  for (const auto &[text, part] : cases) {
    try {
      parse_mount(text);
      FAIL() << text;
    } catch (const sdk::Error &error) {
      EXPECT_THAT(error.message, HasSubstr(part)) << text;
    }
  }
}

class EnvFile : public testing::Test {
 protected:
  EnvFile() : path_(testing::TempDir() + "env-" + std::to_string(::getpid())) {}
  ~EnvFile() override { std::filesystem::remove(path_); }
  std::map<std::string, std::string> read(const std::string &text) {
    std::ofstream(path_) << text;
    return read_env_file(path_);
  }
  std::string path_;
};

TEST_F(EnvFile, ReadsLinesCommentsAndWindowsLineEnds) {
  ::setenv("PIPE_TEST_INHERITED", "here", 1);
  ::unsetenv("PIPE_TEST_ABSENT");
  EXPECT_THAT(read("# comment\n\nA=1\r\nB=x=y # no comment\nPIPE_TEST_INHERITED\nPIPE_TEST_ABSENT\nC="),
              ElementsAre(testing::Pair("A", "1"), testing::Pair("B", "x=y # no comment"),
                          testing::Pair("C", ""), testing::Pair("PIPE_TEST_INHERITED", "here")));
}

TEST_F(EnvFile, NamesTheLineAndNeverTheValue) {
  try {
    read("A=1\nexport B=secret\n");
    FAIL() << "`export` was taken";
  } catch (const sdk::Error &error) {
    EXPECT_THAT(error.message, HasSubstr(":2:"));
    EXPECT_THAT(error.message, testing::Not(HasSubstr("secret")));
  }
}

TEST_F(EnvFile, AFileThatIsNotThereIsAnError) {
  EXPECT_THROW(read_env_file("/nowhere/env"), sdk::Error);
}

class Differences : public testing::Test {
 protected:
  Differences() {
    wanted_.user = "1000:1000";
    wanted_.env = {{"A", "1"}, {"PASSWORD", "hunter2"}};
    wanted_.labels = {{"team", "x"}};
    wanted_.ports = {{"5000/tcp", "127.0.0.1", "5000"}};
    wanted_.mounts = {{"volume", "data", "/var/lib/registry", false}};
    wanted_.restart = "always";
    actual_.spec = wanted_;
    actual_.spec.labels["pipe.spec"] = spec_label(wanted_);
    // What an image and an engine add on their own.
    actual_.spec.env["PATH"] = "/bin";
    actual_.spec.env["OTEL_TRACES_EXPORTER"] = "none";
    actual_.spec.labels["org.opencontainers.image.title"] = "registry";
    actual_.spec.command = {"serve"};
    actual_.spec.entrypoint = {"/entrypoint.sh"};
    actual_.spec.network = "bridge";
    actual_.spec.mounts.push_back({"volume", std::string(64, 'a'), "/other", false});
  }
  std::vector<std::string> fields() {
    std::vector<std::string> list;
    for (const Difference &difference : differences(wanted_, actual_)) list.push_back(difference.field);
    return list;
  }
  ContainerSpec wanted_;
  Container actual_;
};

TEST_F(Differences, WhatImageAndEngineAddIsNone) {
  EXPECT_THAT(fields(), IsEmpty());
  actual_.spec.labels.erase("pipe.spec");  // made by someone else, with the same result
  EXPECT_THAT(fields(), IsEmpty());
}

TEST_F(Differences, EachFieldIsNamed) {
  wanted_.user = "0";
  wanted_.network = "lan";
  wanted_.env["A"] = "2";
  wanted_.env["B"] = "new";
  wanted_.labels["team"] = "y";
  wanted_.has_command = true;
  wanted_.command = {"serve", "-v"};
  wanted_.ports = {{"5000/tcp", "", "5001"}};
  wanted_.mounts[0].source = "other";
  EXPECT_THAT(fields(), ElementsAre("user", "network", "command", "ports", "ports", "volumes", "volumes",
                                    "env.A", "env.B", "labels.team"));
}

TEST_F(Differences, WhatIsTakenAwayIsOne) {
  wanted_.env.erase("A");
  wanted_.labels.clear();
  wanted_.ports.clear();
  EXPECT_THAT(fields(), ElementsAre("ports", "env.A", "labels.team"));
}

TEST_F(Differences, TheRestartPolicyIsAFactThatCanChange) {
  actual_.spec.restart = "no";
  const auto found = differences(wanted_, actual_);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].field, "restart");
  EXPECT_EQ(found[0].before, "no");
  EXPECT_EQ(found[0].after, "always");
}

TEST_F(Differences, AValueThatTheImageGivesAlreadyIsNone) {
  wanted_.env["OTEL_TRACES_EXPORTER"] = "none";
  EXPECT_THAT(fields(), IsEmpty());
}

TEST_F(Differences, NoValueOfEnvIsShownOrKeptInALabel) {
  wanted_.env["PASSWORD"] = "correct horse";
  for (const Difference &difference : differences(wanted_, actual_)) {
    EXPECT_EQ(difference.before + difference.after, "(another value)(set)");
  }
  EXPECT_THAT(spec_label(wanted_), testing::Not(HasSubstr("correct horse")));
  EXPECT_THAT(spec_label(wanted_), HasSubstr("PASSWORD"));
}

TEST_F(Differences, SomeoneElsesLabelOfThatNameIsNoReason) {
  for (const char *label : {"", "yes", "[]", R"({"env":5})"}) {
    actual_.spec.labels["pipe.spec"] = label;
    EXPECT_THAT(fields(), IsEmpty()) << label;
  }
}

TEST_F(Differences, EveryFurtherSettingIsNamed) {
  wanted_.memory = 64 << 20;
  wanted_.cpus = 1.5;
  wanted_.read_only = true;
  wanted_.cap_drop = {"ALL"};
  wanted_.networks = {{"lan", {"b", "a"}}};
  wanted_.ulimits = {{"nofile", "1024"}};
  wanted_.log = {{"driver", "json-file"}, {"max-size", "10m"}};
  wanted_.health = HealthCheck{"true", 1500, 0, 0, 3};
  const auto found = differences(wanted_, actual_);
  std::vector<std::string> texts;
  for (const Difference &each : found) texts.push_back(each.field + ": " + each.before + " -> " + each.after);
  EXPECT_THAT(texts, ElementsAre("cpus: (default) -> 1.5", "health.command: (default) -> true",
                                 "health.interval: (default) -> 1.5s", "health.retries: (default) -> 3",
                                 "log.driver: (default) -> json-file", "log.max-size: (default) -> 10m",
                                 "memory: (default) -> 64 MiB", "read_only: (default) -> true",
                                 "ulimits.nofile: (default) -> 1024", "cap_drop: (none) -> ALL",
                                 "networks: (none) -> lan:a,b"));
  actual_.spec.labels["pipe.spec"] = spec_label(wanted_);
  EXPECT_THAT(fields(), IsEmpty());
}

TEST_F(Differences, WhatTheEngineMadeOfItIsNone) {
  wanted_.cap_drop = {"ALL"};
  wanted_.memory = 64 << 20;
  actual_.spec.labels["pipe.spec"] = spec_label(wanted_);
  actual_.spec.cap_drop = {"CHOWN", "SETUID"};  // Podman writes ALL out
  actual_.spec.ulimits = {{"nofile", "1048576"}, {"nproc", "4194304"}};
  actual_.spec.log = {{"driver", "journald"}};
  actual_.spec.pids = 2048;
  actual_.spec.health = HealthCheck{"the image's", 0, 0, 0, 0};
  EXPECT_THAT(fields(), IsEmpty());
}

TEST_F(Differences, ALimitThatWasChangedBehindItsBackIsOne) {
  wanted_.memory = 64 << 20;
  actual_.spec.labels["pipe.spec"] = spec_label(wanted_);
  actual_.spec.memory = 128 << 20;
  const auto found = differences(wanted_, actual_);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].before + " -> " + found[0].after, "128 MiB -> 64 MiB");
}

TEST_F(Differences, SomeoneElsesContainerMayHaveMore) {
  wanted_.cap_drop = {"ALL"};
  wanted_.tmpfs = {"/tmp:size=1m"};
  wanted_.security_opt = {"no-new-privileges"};
  wanted_.networks = {{"lan", {}}};
  actual_.spec.labels.erase("pipe.spec");
  EXPECT_THAT(fields(), ElementsAre("cap_drop", "networks", "security_opt", "tmpfs"));
  actual_.spec.cap_drop = {"CHOWN", "SETUID", "SYS_CHROOT", "MKNOD"};
  actual_.spec.tmpfs = {"/tmp:rw,nosuid,size=1m"};
  actual_.spec.security_opt = {"label=disable", "no-new-privileges:true"};
  actual_.spec.networks = {{"bridge", {}}, {"lan", {"0123456789ab"}}};
  actual_.spec.memory = 1 << 20;
  EXPECT_THAT(fields(), IsEmpty());
}

TEST(ParseUlimit, ReadsOneOrTwo) {
  EXPECT_EQ(parse_ulimit("nofile", "1024"), "1024");
  EXPECT_EQ(parse_ulimit("nofile", "1024:2048"), "1024:2048");
  EXPECT_EQ(parse_ulimit("core", "0:unlimited"), "0:-1");
  for (const char *text : {"", "many", "1:2:3", "-2", "1:", ":1"})
    EXPECT_THROW(parse_ulimit("nofile", text), sdk::Error) << text;
}

TEST(Replaces, SurvivesTheLabel) {
  Container container;
  EXPECT_FALSE(read_replaces_label(container));
  container.spec.labels[std::string(kReplacesLabel)] = replaces_label({"on-failure:3", true});
  ASSERT_TRUE(read_replaces_label(container));
  EXPECT_EQ(read_replaces_label(container)->restart, "on-failure:3");
  EXPECT_TRUE(read_replaces_label(container)->running);
  container.spec.labels[std::string(kReplacesLabel)] = "somebody's";
  EXPECT_FALSE(read_replaces_label(container));
}

TEST(MissingPorts, ComparesWithTheRealMapping) {
  ContainerSpec wanted;
  wanted.ports = {{"5000/tcp", "", "5000"}, {"5001/tcp", "127.0.0.1", ""}};
  Container actual;
  EXPECT_EQ(missing_ports(wanted, actual).size(), 2U);
  actual.bound_ports = {
      {"5000/tcp", "0.0.0.0", "5000"}, {"5000/tcp", "::", "5000"}, {"5001/tcp", "127.0.0.1", "32768"}};
  EXPECT_THAT(missing_ports(wanted, actual), IsEmpty());
  actual.bound_ports[2].host_ip = "0.0.0.0";
  EXPECT_EQ(missing_ports(wanted, actual).size(), 1U);
  actual.spec.network = "host";
  EXPECT_THAT(missing_ports(wanted, actual), IsEmpty());
}

}  // namespace
}  // namespace pipes::engine
