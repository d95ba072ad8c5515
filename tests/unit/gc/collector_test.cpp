#include "plugins/gc/collector.hpp"

#include <gtest/gtest.h>
#include <pipe/error.hpp>

namespace gc {
namespace {

using Words = std::vector<std::string>;

pipes::engine::ContainerSpec container(const Words &entrypoint, const Words &command) {
  pipes::engine::ContainerSpec spec;
  spec.entrypoint = entrypoint;
  spec.command = command;
  return spec;
}

TEST(CollectCommand, KnowsTheOfficialImagesAndOurOwn) {
  EXPECT_EQ(collect_command(container({"/entrypoint.sh"}, {"/etc/docker/registry/config.yml"}), ""),
            (Words{"registry", "garbage-collect", "/etc/docker/registry/config.yml"}));
  EXPECT_EQ(collect_command(container({"/entrypoint.sh"}, {"serve", "/etc/distribution/config.yml"}), ""),
            (Words{"registry", "garbage-collect", "/etc/distribution/config.yml"}));
  EXPECT_EQ(collect_command(
                container({"/usr/bin/docker-registry", "serve"}, {"/etc/docker/registry/config.yml"}), ""),
            (Words{"/usr/bin/docker-registry", "garbage-collect", "/etc/docker/registry/config.yml"}));
  EXPECT_EQ(collect_command(container({"/entrypoint.sh"}, {"/a.yml"}), "/b.yml").back(), "/b.yml");
}

TEST(CollectCommand, AsksWhereNobodySays) {
  EXPECT_THROW(collect_command(container({"/service"}, {"5000"}), ""), pipes::sdk::Error);
}

TEST(Findings, ReadsTheCollectorsWordsHoweverTheyAreCut) {
  const std::string a = pipes::oci::digest_of("a").str(), b = pipes::oci::digest_of("b").str();
  const std::string said = "team/app\nteam/app: marking manifest " + a +
                           "\nmanifest eligible for deletion: " + b +
                           "\n\n4 blobs marked, 2 blobs and 1 manifests eligible for deletion\n"
                           "blob eligible for deletion: " +
                           a + "\r\nblob eligible for deletion: " + b;
  for (const std::size_t size : {1U, 7U, 4000U}) {
    Findings found;
    for (std::size_t at = 0; at < said.size(); at += size)
      found.feed(std::string_view(said).substr(at, size));
    found.finish();
    EXPECT_EQ(found.blobs.size(), 2U);
    ASSERT_EQ(found.manifests.size(), 1U);
    EXPECT_EQ(found.manifests.begin()->str(), b);
    EXPECT_TRUE(found.last_lines().ends_with("eligible for deletion"));
  }
}

TEST(Findings, ReadsTheManifestsOfVersion3) {
  const std::string a = pipes::oci::digest_of("a").str(), b = pipes::oci::digest_of("b").str();
  Findings found;
  found.feed("manifest eligible for deletion: {team/app " + a + " [latest 1.0]}\n");
  found.feed("manifest eligible for deletion: {app " + b + " []}\n");
  found.feed("team/app: layer link eligible for deletion: " + a + "\n");
  found.finish();
  EXPECT_EQ(found.manifests.size(), 2U);
  EXPECT_TRUE(found.manifests.contains(pipes::oci::Digest::parse(a)));
  EXPECT_TRUE(found.blobs.empty());
}

TEST(Findings, RefusesWordsOfAVersionThatItDoesNotKnow) {
  for (const char *said : {"manifest eligible for deletion: {app}", "manifest eligible for deletion: app@1",
                           "blob eligible for deletion: none"}) {
    Findings found;
    found.feed(said);
    EXPECT_THROW(found.finish(), pipes::sdk::Error) << said;
  }
}

TEST(BlobFile, LiesBelowTheRootThatTheEnvironmentSays) {
  pipes::engine::ContainerSpec spec;
  const auto digest = pipes::oci::digest_of("a");
  const std::string hex(digest.hex());
  const std::string rest = "/docker/registry/v2/blobs/sha256/" + hex.substr(0, 2) + "/" + hex + "/data";
  EXPECT_EQ(blob_file(spec, digest), "/var/lib/registry" + rest);
  spec.env["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"] = "/data";
  EXPECT_EQ(blob_file(spec, digest), "/data" + rest);
}

}  // namespace
}  // namespace gc
