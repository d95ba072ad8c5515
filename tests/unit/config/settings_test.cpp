#include "plugins/config/settings.hpp"

#include <gmock/gmock.h>
#include <pipe/error.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace config {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

/// As the step's defaults are.
Params defaults() {
  Params p;
  p.storage = "filesystem";
  p.cache = "inmemory";
  p.purge_age = 168h;
  p.purge_interval = 24h;
  p.realm = "registry";
  p.addr = ":5000";
  p.headers = {{"X-Content-Type-Options", "nosniff"}};
  p.log_level = "info";
  p.log_formatter = "text";
  return p;
}

Params with(const std::function<void(Params &)> &change) {
  Params p = defaults();
  change(p);
  return p;
}

std::string refusal(const Params &p, int version) {
  try {
    render(p, version, "s");
  } catch (const sdk::Error &error) {
    return error.message + "; " + error.hint;
  }
  return "";
}

TEST(ConfigSettings, TheDefaultsAsAFile) {
  EXPECT_EQ(render(defaults(), 2, "abc"), R"(version: 0.1
log:
  level: "info"
  formatter: "text"
storage:
  filesystem:
    rootdirectory: "/var/lib/registry"
  delete:
    enabled: false
  cache:
    blobdescriptor: "inmemory"
  maintenance:
    uploadpurging:
      enabled: true
      age: "168h"
      interval: "24h"
      dryrun: false
http:
  addr: ":5000"
  secret: "abc"
  headers:
    X-Content-Type-Options:
      - "nosniff"
health:
  storagedriver:
    enabled: true
)");
}

TEST(ConfigSettings, TextThatLooksLikeSomethingElseStaysText) {
  const Params p = with([](Params &q) {
    q.proxy_remoteurl = "https://registry-1.docker.io";
    q.proxy_username = "no";
    q.proxy_password = sdk::Secret{"0123: \"x\\ # é\n"};
    q.headers = {{"on", "true"}};
  });
  const auto flat = read(render(p, 2, "1e3"));
  ASSERT_TRUE(flat);
  EXPECT_EQ(flat->at("proxy.username"), "no");
  EXPECT_EQ(flat->at("proxy.password"), "0123: \"x\\ # é\n");
  EXPECT_EQ(flat->at("http.secret"), "1e3");
  EXPECT_EQ(flat->at("http.headers.on[0]"), "true");
  EXPECT_THAT(render(p, 2, "1e3"), HasSubstr("username: \"no\""));
  EXPECT_THAT(render(p, 2, "1e3"), HasSubstr("\"on\":\n"));
}

TEST(ConfigSettings, RedisIsAnotherSectionInVersion3) {
  const Params p = with([](Params &q) {
    q.cache = "redis";
    q.redis = {"redis:6379"};
  });
  EXPECT_EQ(read(render(p, 2, "s"))->at("redis.addr"), "redis:6379");
  EXPECT_EQ(read(render(p, 3, "s"))->at("redis.addrs[0]"), "redis:6379");
  const Params two = with([](Params &q) { q.redis = {"a:1", "b:1"}; });
  EXPECT_THAT(refusal(two, 2), HasSubstr("takes one Redis server"));
  EXPECT_EQ(refusal(two, 3), "");
}

TEST(ConfigSettings, VersionsDiffer) {
  const auto cache = [](Params &q) { q.proxy_remoteurl = "https://registry-1.docker.io", q.proxy_ttl = 0ms; };
  EXPECT_THAT(refusal(with(cache), 2), HasSubstr("no setting \"proxy.ttl\"; it is there since version 3"));
  EXPECT_EQ(read(render(with(cache), 3, "s"))->at("proxy.ttl"), "0s");
  EXPECT_THAT(refusal(with([](Params &q) { q.storage = "swift"; }), 3), HasSubstr("no storage driver swift"));
  const auto old_tls = [](Params &q) { q.tls_certificate = q.tls_key = "/x", q.tls_minimum = "tls1.1"; };
  EXPECT_THAT(refusal(with(old_tls), 3), HasSubstr("speaks no tls1.1"));
  EXPECT_EQ(refusal(with(old_tls), 2), "");
}

TEST(ConfigSettings, ADriverHasWhatItNeeds) {
  EXPECT_THAT(refusal(with([](Params &q) { q.storage = "s3"; }), 3), HasSubstr("storage.s3.bucket"));
  const Params s3 = with([](Params &q) {
    q.storage = "s3";
    q.settings = {
        {"storage.s3.bucket", {"b"}}, {"storage.s3.region", {"r"}}, {"storage.s3.secure", {"false"}}};
  });
  EXPECT_THAT(render(s3, 3, "s"), HasSubstr("    secure: false\n"));
  const Params other = with([](Params &q) { q.settings = {{"storage.gcs.bucket", {"b"}}}; });
  EXPECT_THAT(refusal(other, 3), HasSubstr("`storage` is \"filesystem\""));
  EXPECT_THAT(render(with([](Params &q) { q.storage = "inmemory"; }), 3, "s"), HasSubstr("inmemory: {}"));
}

TEST(ConfigSettings, WhatDoesNotGoTogetherIsRefused) {
  const std::pair<std::function<void(Params &)>, const char *> cases[] = {
      {[](Params &q) { q.tls_certificate = "/c"; }, "belong together"},
      {[](Params &q) { q.tls_minimum = "tls1.3"; }, "but no certificate"},
      {[](Params &q) { q.debug_addr = ":5001"; }, "debug_public"},
      {[](Params &q) { q.debug_addr = "0.0.0.0:5001"; }, "debug_public"},
      {[](Params &q) { q.debug_addr = "127.0.0.1:5000"; }, "the registry's own port"},
      {[](Params &q) { q.metrics = true; }, "give `debug_addr`"},
      {[](Params &q) { q.proxy_remoteurl = "https://docker.io"; }, "https://registry-1.docker.io"},
      {[](Params &q) { q.proxy_remoteurl = "https://u:p@r.lan"; }, "parameters of their own"},
      {[](Params &q) { q.proxy_password = sdk::Secret{"p"}; }, "give `proxy_remoteurl`"},
      {[](Params &q) { q.proxy_remoteurl = "https://r.lan", q.proxy_username = "u"; }, "belong together"},
      {[](Params &q) { q.proxy_remoteurl = "https://r.lan", q.readonly = true; }, "can't be read-only"},
      {[](Params &q) { q.cache = "redis"; }, "give `redis`"},
      {[](Params &q) { q.htpasswd = "auth/htpasswd"; }, "no absolute path"},
      {[](Params &q) {
         q.settings = {{"http.addr", {":1"}}};
       },
       "give `addr`"},
      {[](Params &q) {
         q.settings = {{"http.draintimeout", {"7 days"}}};
       },
       "is a duration"},
      {[](Params &q) {
         q.settings = {{"catalog.maxentries", {"many"}}};
       },
       "is a whole number"},
      {[](Params &q) {
         q.settings = {{"validation.disabled", {"yes"}}};
       },
       "is true or false"},
      {[](Params &q) {
         q.settings = {{"auth.token.realm", {"x"}}};
       },
       "auth.token.service"},
      {[](Params &q) {
         q.notification_headers = {{"A", {"b"}}};
       },
       "give `notifications`"},
      {[](Params &q) { q.health_urls = {"redis:6379"}; }, "is no URL"},
  };
  for (const auto &[change, text] : cases) EXPECT_THAT(refusal(with(change), 3), HasSubstr(text));
}

TEST(ConfigSettings, ErrorsShowNoValueThatMayBeSecret) {
  const Params p = with([](Params &q) { q.settings = {{"redis.db", {"hunter2"}}}, q.redis = {"r:1"}; });
  EXPECT_THAT(refusal(p, 3), Not(HasSubstr("hunter2")));
}

TEST(ConfigSettings, ACacheMayDeleteWhatHasExpired) {
  const auto cache = [](Params &q) { q.proxy_remoteurl = "https://registry-1.docker.io"; };
  EXPECT_EQ(read(render(with(cache), 2, "s"))->at("storage.delete.enabled"), "true");
}

TEST(ConfigSettings, DifferencesHideSecrets) {
  const Flat before{{"http.secret", "one"}, {"http.addr", ":1"}, {"log.level", "info"}};
  const Flat after{{"http.secret", "two"}, {"http.addr", ":2"}, {"proxy.password", "three"}};
  std::string text;
  for (const auto &[path, was, is] : compare(before, after)) text += path + ": " + was + " -> " + is + "\n";
  EXPECT_EQ(text,
            "http.addr: :1 -> :2\nhttp.secret: (another secret) -> (a secret)\nlog.level: info -> \n"
            "proxy.password:  -> (a secret)\n");
}

}  // namespace
}  // namespace config
