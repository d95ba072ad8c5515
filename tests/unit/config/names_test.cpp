// The table of names against what Distribution's documentation lists.
#include "plugins/config/names.hpp"

#include <gmock/gmock.h>
#include <pipe/error.hpp>

#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "documented.hpp"

namespace config {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view path, int version) {
  try {
    name_of(path, version);
  } catch (const pipes::sdk::Error &error) {
    return error.message + "; " + error.hint;
  }
  return "";
}

/// In the documentation, and on purpose not in the table: sections that parameters write, and what is not
/// offered.
bool has_another_way(std::string_view path) {
  for (const std::string_view section :
       {"log.hooks.", "middleware.", "auth.silly.", "notifications.endpoints.", "health.file.",
        "health.http.", "health.tcp."})
    if (path.starts_with(section)) return true;
  return path == "loglevel" || path.starts_with("validation.manifests.indexes.platformlist.") ||
         path == "redis.tls.enabled";  // documented, but nothing reads it
}

std::span<const std::string_view> documented(int version) {
  return version == 2 ? std::span<const std::string_view>(kDocumented2) : kDocumented3;
}

TEST(ConfigNames, AllThatIsDocumentedIsThere) {
  for (const int version : {2, 3})
    for (const std::string_view path : documented(version)) {
      if (!has_another_way(path)) {
        EXPECT_EQ(refusal(path, version), "") << path << " of version " << version;
      }
    }
}

TEST(ConfigNames, WhatOnlyOneVersionDocumentsTheOtherDoesNotHave) {
  for (const int version : {2, 3}) {
    const auto mine = documented(version), others = documented(5 - version);
    for (const std::string_view path : mine)
      if (std::ranges::find(others, path) == others.end() && !has_another_way(path)) {
        EXPECT_NE(refusal(path, 5 - version), "") << path << " in version " << 5 - version;
      }
  }
}

TEST(ConfigNames, EachIsThereOnce) {
  std::set<std::string_view> seen;
  for (const Name &name : all_names()) {
    EXPECT_TRUE(seen.insert(name.path).second) << name.path;
    EXPECT_LE(name.first, name.last) << name.path;
  }
}

TEST(ConfigNames, AMistypedOneIsMet) {
  EXPECT_THAT(refusal("storage.s3.buckt", 3), HasSubstr("did you mean \"storage.s3.bucket\"?"));
  EXPECT_THAT(refusal("drain.timeout", 3), HasSubstr("Distribution 3 has no setting"));
  EXPECT_THAT(refusal("s3.regionendpoint", 2), HasSubstr("\"storage.s3.regionendpoint\""));
  EXPECT_THAT(refusal("http.adr", 3), HasSubstr("the parameter `addr`"));
}

TEST(ConfigNames, AnotherVersionsNameSaysWhereItWent) {
  EXPECT_THAT(refusal("redis.pool.maxidle", 3), HasSubstr("redis.maxidleconns"));
  EXPECT_THAT(refusal("storage.tag.concurrencylimit", 2), HasSubstr("since version 3"));
  EXPECT_THAT(refusal("compatibility.schema1.enabled", 3), HasSubstr("schema 1"));
  EXPECT_THAT(refusal("storage.swift.container", 3), HasSubstr("s3"));
  EXPECT_THAT(refusal("middleware.storage", 3), HasSubstr("writes no middleware"));
}

TEST(ConfigNames, SecretsAreKnownAsSuch) {
  for (const char *path : {"http.secret", "proxy.password", "storage.s3.secretkey", "redis.password",
                           "notifications.endpoints[0].headers.Authorization[0]", "made.up.by.hand"})
    EXPECT_TRUE(is_secret(path)) << path;
  for (const char *path : {"http.addr", "http.headers.Vary[0]", "health.http[0].uri", "proxy.username",
                           "http.tls.clientcas[1]", "notifications.endpoints[0].url", "version"})
    EXPECT_FALSE(is_secret(path)) << path;
}

}  // namespace
}  // namespace config
