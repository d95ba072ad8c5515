#include "sdk/engine/messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pipes::engine {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(CreateBody, WritesPortsAsTextAndMountsAsMounts) {
  ContainerSpec spec;
  spec.image = "docker.io/library/registry:3";
  spec.restart = "on-failure:5";
  spec.env = {{"A", "1"}};
  spec.ports = {{"5000/tcp", "127.0.0.1", "5000"}};
  spec.mounts = {{"bind", "/data", "/var/lib/registry", true}};
  const json body = json::parse(create_body(spec));
  EXPECT_EQ(body["Env"], json::array({"A=1"}));
  EXPECT_EQ(body["ExposedPorts"], json::parse(R"({"5000/tcp":{}})"));
  EXPECT_EQ(body["HostConfig"]["PortBindings"],
            json::parse(R"({"5000/tcp":[{"HostIp":"127.0.0.1","HostPort":"5000"}]})"));
  EXPECT_EQ(
      body["HostConfig"]["Mounts"],
      json::parse(R"([{"Type":"bind","Source":"/data","Target":"/var/lib/registry","ReadOnly":true}])"));
  EXPECT_EQ(body["HostConfig"]["RestartPolicy"],
            json::parse(R"({"Name":"on-failure","MaximumRetryCount":5})"));
}

TEST(CreateBody, LeavesToTheImageWhatIsNotAskedFor) {
  ContainerSpec spec;
  spec.image = "a:1";
  const json body = json::parse(create_body(spec));
  for (const char *member : {"Cmd", "Entrypoint", "User", "Hostname", "ExposedPorts"})
    EXPECT_FALSE(body.contains(member)) << member;
  EXPECT_FALSE(body["HostConfig"].contains("PortBindings"));
}

TEST(CreateBody, WritesLimitsHealthAndLogAsTheApiHasThem) {
  ContainerSpec spec;
  spec.memory = 1024;
  spec.cpus = 1.5;
  spec.pids = 7;
  spec.read_only = true;
  spec.tmpfs = {"/tmp:size=1m", "/run"};
  spec.ulimits = {{"core", "0"}, {"nofile", "1:2"}};
  spec.devices = {"/dev/fuse", "/dev/a:/dev/b"};
  spec.log = {{"driver", "json-file"}, {"max-size", "10m"}};
  spec.health = HealthCheck{"true", 1500, 0, 0, 3};
  spec.stop_timeout = 30;
  const json body = json::parse(create_body(spec));
  EXPECT_EQ(body["StopTimeout"], 30);
  EXPECT_EQ(body["Healthcheck"],
            json::parse(R"({"Test":["CMD-SHELL","true"],"Interval":1500000000,"Retries":3})"));
  const json &host = body["HostConfig"];
  EXPECT_EQ(host["Memory"], 1024);
  EXPECT_EQ(host["NanoCpus"], 1500000000);
  EXPECT_EQ(host["PidsLimit"], 7);
  EXPECT_EQ(host["Tmpfs"], json::parse(R"({"/tmp":"size=1m","/run":""})"));
  EXPECT_EQ(host["Ulimits"],
            json::parse(R"([{"Name":"core","Soft":0,"Hard":0},{"Name":"nofile","Soft":1,"Hard":2}])"));
  EXPECT_EQ(host["Devices"][1],
            json::parse(R"({"PathOnHost":"/dev/a","PathInContainer":"/dev/b","CgroupPermissions":"rwm"})"));
  EXPECT_EQ(host["LogConfig"], json::parse(R"({"Type":"json-file","Config":{"max-size":"10m"}})"));
}

TEST(CreateBody, NoneTurnsTheImagesHealthCheckOff) {
  ContainerSpec spec;
  spec.health = HealthCheck{"none", 0, 0, 0, 0};
  EXPECT_EQ(json::parse(create_body(spec))["Healthcheck"], json::parse(R"({"Test":["NONE"]})"));
}

// As Podman 4 and 5 write it.
TEST(ParseContainer, ReadsPodmansWordsForLimits) {
  const Container container = parse_container(
      R"({"Id":"a","State":{"Status":"running","Health":{"Status":"","FailingStreak":0,"Log":null}},
    "HostConfig":{"CapAdd":["CAP_NET_RAW"],"CapDrop":["CAP_CHOWN"],"PidsLimit":2048,"Memory":0,"NanoCpus":0,"Init":null,
    "Ulimits":[{"Name":"RLIMIT_NOFILE","Soft":1,"Hard":2}],"LogConfig":{"Type":"journald","Config":null,"Path":"","Size":"0B"},
    "Tmpfs":{"/tmp":"rw,rprivate"},"ReadonlyRootfs":true}})");
  EXPECT_THAT(container.spec.cap_add, ElementsAre("NET_RAW"));
  EXPECT_THAT(container.spec.cap_drop, ElementsAre("CHOWN"));
  EXPECT_EQ(container.spec.ulimits.at("nofile"), "1:2");
  EXPECT_EQ(container.spec.log.at("driver"), "journald");
  EXPECT_TRUE(container.spec.read_only);
  EXPECT_FALSE(container.spec.init);
  EXPECT_TRUE(container.health.empty());
}

TEST(ParseContainer, ReadsHealth) {
  const Container container = parse_container(
      R"({"State":{"Health":{"Status":"unhealthy","Log":[{"Output":"old"},{"Output":"no route"}]}}})");
  EXPECT_EQ(container.health, "unhealthy");
  EXPECT_EQ(container.health_log, "no route");
}

TEST(CreateBody, AnEmptyCommandThatIsAskedForIsSent) {
  ContainerSpec spec;
  spec.has_command = true;
  EXPECT_EQ(json::parse(create_body(spec))["Cmd"], json::array());
}

// As Docker 29 writes it: no NetworkSettings.IPAddress, fields of the configuration left out.
TEST(ParseContainer, ReadsAnAnswerOfApi152) {
  const Container container = parse_container(R"({
    "Id": "abc", "Name": "/registry", "Image": "sha256:1111", "RestartCount": 2,
    "Created": "2026-01-01T00:00:00Z", "SomethingNew": {"x": [1]},
    "State": {"Status": "running", "ExitCode": 0, "Pid": 42, "Error": ""},
    "Config": {"Image": "registry:3", "Env": ["A=b=c", "EMPTY="], "Labels": {"pipe.token": "t"}, "Entrypoint": ["/entry"], "Cmd": null},
    "HostConfig": {"NetworkMode": "bridge", "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
                   "PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}]}},
    "Mounts": [{"Type": "volume", "Name": "data", "Source": "/var/lib/docker/volumes/data/_data", "Destination": "/d", "RW": true},
               {"Type": "bind", "Source": "/etc/localtime", "Destination": "/etc/localtime", "RW": false}],
    "NetworkSettings": {"Ports": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}], "5001/tcp": null},
                        "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}})");
  EXPECT_EQ(container.name, "registry");
  EXPECT_EQ(container.pid, 42);
  EXPECT_EQ(container.restart_count, 2);
  EXPECT_TRUE(container.has_env("A", "b=c"));
  EXPECT_TRUE(container.has_env("EMPTY", ""));
  EXPECT_FALSE(container.has_env("A", "b"));
  EXPECT_EQ(container.spec.restart, "always");
  EXPECT_FALSE(container.spec.has_command);
  EXPECT_THAT(container.bound_ports, ElementsAre(PortBinding{"5000/tcp", "127.0.0.1", "5000"}));
  EXPECT_THAT(container.spec.mounts, ElementsAre(Mount{"volume", "data", "/d", false},
                                                 Mount{"bind", "/etc/localtime", "/etc/localtime", true}));
  EXPECT_EQ(container.addresses.at("bridge"), "172.17.0.2");
}

TEST(ParseContainer, LivesWithNullsAndAbsentMembers) {
  const Container container = parse_container(
      R"({"Id":"abc","State":null,"Config":null,"HostConfig":{},"Mounts":null,"NetworkSettings":{"Ports":null}})");
  EXPECT_EQ(container.id, "abc");
  EXPECT_EQ(container.spec.restart, "no");
  EXPECT_TRUE(container.bound_ports.empty());
}

TEST(ParseContainer, GivesPodmansBareIdsTheirAlgorithm) {
  const std::string id(64, 'a');
  EXPECT_EQ(parse_container(R"({"Image":")" + id + "\"}").image_id, "sha256:" + id);
}

TEST(ParseContainerList, ReadsPublishedPortsOnly) {
  const auto list = parse_container_list(
      R"([{"Id":"1","Names":["/a"],"State":"running","Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},
           {"PrivatePort":443,"Type":"tcp"}]},{"Id":"2","Names":null,"Ports":null}])");
  ASSERT_EQ(list.size(), 2U);
  EXPECT_THAT(list[0].bound_ports, ElementsAre(PortBinding{"80/tcp", "0.0.0.0", "8080"}));
}

TEST(ParseImage, LivesWithAnEmptyConfig) {
  const Image image = parse_image(R"({"Id":"sha256:1","RepoTags":["a:1"],"Config":null,"Os":"linux"})");
  EXPECT_THAT(image.tags, ElementsAre("a:1"));
  EXPECT_TRUE(image.env.empty());
}

TEST(ErrorText, TakesTheMessageElseTheFirstLine) {
  EXPECT_EQ(error_text(R"({"message":"No such image: x"})"), "No such image: x");
  EXPECT_EQ(error_text("<html>\n<body>"), "<html>");
  EXPECT_EQ(error_text(""), "no reason given");
}

TEST(AnswerError, SaysWhatToDoAboutKnownCauses) {
  const sdk::Error port =
      answer_error(500, "starting the container", "Bind for 0.0.0.0:5000 failed: port is already allocated");
  EXPECT_EQ(port.status, PIPE_E_INVALID);
  EXPECT_THAT(port.hint, HasSubstr("publish another one"));
  EXPECT_THAT(answer_error(500, "x", "OCI runtime error: crun: cgroups in hybrid mode not supported").hint,
              HasSubstr("runc"));
  EXPECT_EQ(answer_error(404, "x", "no such thing").status, PIPE_E_NOT_FOUND);
  EXPECT_EQ(answer_error(503, "x", "busy").status, PIPE_E_TRANSIENT);
}

}  // namespace
}  // namespace pipes::engine
