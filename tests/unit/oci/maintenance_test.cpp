#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/maintenance.hpp>

#include <sys/stat.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace pipes::oci::testing;
using namespace std::chrono_literals;

class Maintenance : public ::testing::Test {
 protected:
  Descriptor named(std::string_view name, std::string_view content) {
    const Descriptor image = make_image(store_, content);
    store_.tag(name, image);
    return image;
  }
  Digest layer_of(const Descriptor &image) { return store_.manifest(image).layers.front().digest; }
  Digest config_of(const Descriptor &image) { return store_.manifest(image).config->digest; }
  std::string path(const Digest &digest) { return store_.blob_path(digest); }
  Descriptor index_of(const std::vector<Descriptor> &images) {
    std::string list;
    for (const Descriptor &image : images)
      list += (list.empty() ? "" : ",") +
              (R"({"mediaType":")" + image.media_type + R"(","digest":")" + image.digest.str()) +
              R"(","size":)" + std::to_string(image.size) + "}";
    return store_.put(
        R"({"schemaVersion":2,"mediaType":")" + std::string(kOciIndex) + R"(","manifests":[)" + list + "]}",
        kOciIndex);
  }

  Quiet quiet_;
  TempDir dir_;
  Store store_{dir_ / "store"};
};

TEST_F(Maintenance, FindsAnImageHoweverItIsNamed) {
  const Descriptor image = named("docker.io/library/registry:3", "x");
  named("odd name", "y");
  for (const std::string &text :
       {std::string("registry:3"), std::string("docker.io/registry:3"), std::string("library/registry:3"),
        image.digest.str(), "registry@" + image.digest.str()}) {
    const std::optional<StoredImage> found = store_.find(text);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->name, "docker.io/library/registry:3") << text;
  }
  EXPECT_TRUE(store_.find("odd name"));
  EXPECT_FALSE(store_.find("registry:2"));
  EXPECT_FALSE(store_.find(""));
}

TEST_F(Maintenance, CollectsWhatNoNameLeadsTo) {
  const Descriptor kept = named("a:1", "kept");
  const Descriptor dropped = named("b:1", "dropped");
  const Descriptor child = make_image(store_, "child");
  store_.tag("c:1", index_of({child}));
  EXPECT_THAT(find_garbage(store_).blobs, IsEmpty());

  store_.untag("b:1");
  const Digest layer = layer_of(dropped);
  const Garbage found = find_garbage(store_);
  EXPECT_THAT(found.blobs, SizeIs(3));  // manifest, config, layer
  EXPECT_EQ(found.kept, 7U);
  EXPECT_TRUE(store_.has(dropped)) << "only looking must not change anything";

  const Garbage gone = collect_garbage(store_, 0ms, quiet_);
  EXPECT_EQ(gone.blobs, found.blobs);
  EXPECT_EQ(gone.bytes, found.bytes);
  EXPECT_FALSE(store_.has(dropped));
  EXPECT_NE(access(path(layer).c_str(), F_OK), 0);
  EXPECT_TRUE(store_.has(kept));
  EXPECT_TRUE(store_.has(child));
  EXPECT_TRUE(check_store(store_, quiet_).clean());
}

TEST_F(Maintenance, WhatIsAttachedToAnImageGoesWithIt) {
  const auto tag_of = [](const Descriptor &image) {
    return std::string(image.digest.algorithm()) + "-" + std::string(image.digest.hex());
  };
  const Descriptor image = named("a:1", "image");
  const Descriptor signature = named(tag_of(image) + ".sig", "signature");
  const Descriptor of_signature = named(tag_of(signature), "of the signature");
  const Descriptor other = named(tag_of(make_image(store_, "another")), "of another image");
  Garbage garbage = collect_garbage(store_, 0ms, quiet_);
  EXPECT_THAT(garbage.names, SizeIs(1));  // that of an image which has no name itself
  EXPECT_FALSE(store_.has(other));
  EXPECT_TRUE(store_.has(signature));
  EXPECT_TRUE(store_.has(of_signature));
  store_.untag("a:1");
  EXPECT_THAT(find_garbage(store_).names, SizeIs(2));
  garbage = collect_garbage(store_, 0ms, quiet_);
  EXPECT_THAT(garbage.blobs, SizeIs(9));
  EXPECT_EQ(garbage.kept, 0U);
  EXPECT_THAT(store_.list(), IsEmpty());
  EXPECT_TRUE(check_store(store_, quiet_).clean());
}

TEST_F(Maintenance, KeepsWhatTwoImagesShare) {
  const Descriptor both = named("a:1", "shared");
  store_.tag("b:1", both);
  store_.untag("a:1");
  EXPECT_THAT(collect_garbage(store_, 0ms, quiet_).blobs, IsEmpty());
}

TEST_F(Maintenance, CollectsNothingWhileAnotherUsesTheStore) {
  make_image(store_, "not named yet");
  {
    const Store other(store_.path());
    const sdk::Error error = error_of([&] { collect_garbage(store_, 50ms, quiet_); });
    EXPECT_EQ(error.status, PIPE_E_TIMEOUT);
    EXPECT_THAT(error.message, HasSubstr("is in use"));
    EXPECT_THAT(find_garbage(store_).blobs, SizeIs(3));
  }
  EXPECT_THAT(collect_garbage(store_, 0ms, quiet_).blobs, SizeIs(3));
}

TEST_F(Maintenance, WaitsUntilAnotherHasNamedItsImage) {
  std::atomic<bool> begun = false;
  std::jthread other([&] {
    Store mine(store_.path());
    const Descriptor image = make_image(mine, "named late");
    begun = true;
    std::this_thread::sleep_for(100ms);
    mine.tag("late:1", image);
  });
  while (!begun) std::this_thread::yield();
  EXPECT_THAT(collect_garbage(store_, 20s, quiet_).blobs, IsEmpty());
  EXPECT_TRUE(store_.find("late:1"));
}

TEST_F(Maintenance, CollectsNothingWhereItCantTellWhatIsNeeded) {
  const Descriptor image = named("a:1", "content");
  std::filesystem::remove(path(image.digest));
  EXPECT_EQ(error_of([&] { collect_garbage(store_, 0ms, quiet_); }).status, PIPE_E_MISMATCH);
  EXPECT_EQ(access(path(digest_of("content")).c_str(), F_OK), 0);
}

TEST_F(Maintenance, FindsNoFlawInAStoreThatIsWhole) {
  named("a:1", "content");
  make_image(store_, "no name");
  const StoreCheck check = check_store(store_, quiet_);
  EXPECT_TRUE(check.clean());
  EXPECT_THAT(check.flaws, IsEmpty());
  EXPECT_EQ(check.images, 1U);
  EXPECT_EQ(check.blobs, 6U);
  EXPECT_EQ(check.unnamed, 3U);
}

TEST_F(Maintenance, FindsWhatIsMissing) {
  const Descriptor image = named("a:1", "content");
  const Digest layer = layer_of(image);
  store_.tag("b:1", image);
  std::filesystem::remove(path(layer));
  const StoreCheck check = check_store(store_, quiet_);
  EXPECT_FALSE(check.clean());
  ASSERT_THAT(check.flaws, SizeIs(1));
  const StoreFlaw &flaw = check.flaws.front();
  EXPECT_EQ(flaw.kind, StoreFlaw::Kind::missing);
  EXPECT_EQ(flaw.digest, layer);
  EXPECT_EQ(flaw.part, "layer");
  ASSERT_THAT(flaw.images, SizeIs(2));
  EXPECT_EQ(flaw.images.front().name, "a:1");
}

TEST_F(Maintenance, FindsAndMovesWhatIsDamaged) {
  const Descriptor image = named("a:1", "content");
  const Digest layer = layer_of(image);
  const Descriptor loose = store_.put("loose", "text/plain");
  write_all(path(layer), "CONTENT");
  write_all(path(loose.digest), "LOOSE");
  StoreCheck check = check_store(store_, quiet_);
  ASSERT_THAT(check.flaws, SizeIs(2));
  for (const StoreFlaw &flaw : check.flaws) {
    EXPECT_EQ(flaw.kind, StoreFlaw::Kind::damaged);
    EXPECT_EQ(flaw.part, flaw.digest == layer ? "layer" : "blob");
  }
  EXPECT_FALSE(check.clean());

  move_damaged(store_, check, 0ms, quiet_);
  EXPECT_FALSE(check.clean()) << "the image lacks its layer now";
  EXPECT_EQ(read_all(dir_ / ("store/.damaged/sha256-" + std::string(layer.hex()))), "CONTENT");
  EXPECT_FALSE(store_.has(loose));
  check = check_store(store_, quiet_);
  ASSERT_THAT(check.flaws, SizeIs(1));
  EXPECT_EQ(check.flaws.front().kind, StoreFlaw::Kind::missing);
  store_.put("content", kOciLayer);
  EXPECT_TRUE(check_store(store_, quiet_).clean());
}

TEST_F(Maintenance, LeavesABlobThatWasMendedSince) {
  const Descriptor image = named("a:1", "content");
  const Digest layer = layer_of(image);
  write_all(path(layer), "CONTENT");
  StoreCheck check = check_store(store_, quiet_);
  write_all(path(layer), "content");
  move_damaged(store_, check, 0ms, quiet_);
  EXPECT_TRUE(check_store(store_, quiet_).clean());
}

TEST_F(Maintenance, FindsAManifestThatIsGoneOrDamaged) {
  const Descriptor gone = named("a:1", "one");
  const Descriptor damaged = named("b:1", "two");
  std::filesystem::remove(path(gone.digest));
  std::string bytes = read_all(path(damaged.digest));
  bytes[20] ^= 1;
  write_all(path(damaged.digest), bytes);
  const StoreCheck check = check_store(store_, quiet_);
  ASSERT_THAT(check.flaws, SizeIs(2));
  for (const StoreFlaw &flaw : check.flaws) {
    EXPECT_EQ(flaw.part, "manifest");
    ASSERT_THAT(flaw.images, SizeIs(1));
    EXPECT_EQ(flaw.images.front().name, flaw.digest == gone.digest ? "a:1" : "b:1");
    EXPECT_EQ(flaw.kind, flaw.digest == gone.digest ? StoreFlaw::Kind::missing : StoreFlaw::Kind::damaged);
  }
}

TEST_F(Maintenance, AnIndexMayBeThereForSomePlatformsOnly) {
  const Descriptor here = make_image(store_, "here");
  const Descriptor elsewhere{
      .media_type = std::string(kOciManifest), .digest = digest_of("elsewhere"), .size = 9};
  store_.tag("some:1", index_of({here, elsewhere}));
  EXPECT_TRUE(check_store(store_, quiet_).clean());
  store_.tag("none:1", index_of({elsewhere}));
  const StoreCheck check = check_store(store_, quiet_);
  ASSERT_THAT(check.flaws, SizeIs(1));
  EXPECT_EQ(check.flaws.front().digest, elsewhere.digest);
}

TEST_F(Maintenance, SaysWhereABlobIsNoFile) {
  const Descriptor image = named("a:1", "content");
  const std::string layer = path(layer_of(image));
  std::filesystem::remove(layer);
  std::filesystem::create_symlink("/dev/null", layer);
  const StoreCheck check = check_store(store_, quiet_);
  ASSERT_THAT(check.flaws, SizeIs(1));
  EXPECT_EQ(check.flaws.front().kind, StoreFlaw::Kind::damaged);
  EXPECT_THAT(check.flaws.front().why, HasSubstr("symbolic link"));
}

TEST_F(Maintenance, AnIndexFileThatIsBrokenIsAnError) {
  write_all(dir_ / "store/index.json", "{");
  EXPECT_EQ(error_of([&] { check_store(store_, quiet_); }).status, PIPE_E_INVALID);
  EXPECT_EQ(error_of([&] { collect_garbage(store_, 0ms, quiet_); }).status, PIPE_E_INVALID);
}

}  // namespace
}  // namespace pipes::oci
