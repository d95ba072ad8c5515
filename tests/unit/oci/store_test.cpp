#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;
using namespace pipes::oci::testing;

std::vector<std::string> names_in(const fs::path &folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

Descriptor expectation(std::string_view content) {
  return {.media_type = "text/plain", .digest = digest_of(content), .size = content.size()};
}

class StoreTest : public ::testing::Test {
 protected:
  TempDir dir_;
  Store store_{dir_ / "store"};
  fs::path partials_ = dir_ / "store/.partial";
};

TEST_F(StoreTest, IsAnOciLayout) {
  EXPECT_EQ(read_all(store_.path() / "oci-layout"), R"({"imageLayoutVersion":"1.0.0"})");
  const auto index = nlohmann::json::parse(read_all(store_.path() / "index.json"));
  EXPECT_EQ(index["schemaVersion"], 2);
  EXPECT_TRUE(index["manifests"].empty());
}

TEST_F(StoreTest, KeepsABlobUnderItsDigest) {
  const Descriptor blob = store_.put("hello", "text/plain");
  EXPECT_EQ(blob.digest, digest_of("hello"));
  EXPECT_EQ(blob.media_type, "text/plain");
  EXPECT_TRUE(store_.has(blob));
  EXPECT_EQ(store_.read(blob), "hello");
  EXPECT_EQ(read_all(store_.path() / "blobs/sha256" / blob.digest.hex()), "hello");
  EXPECT_THAT(names_in(partials_), IsEmpty());
}

TEST_F(StoreTest, KeepsABlobOfAnotherAlgorithm) {
  const Descriptor expected{.media_type = "m", .digest = digest_of("hello", "sha512"), .size = 5};
  BlobWriter writer = store_.writer(expected);
  writer.write("hello");
  writer.commit();
  EXPECT_EQ(store_.read(expected), "hello");
}

TEST_F(StoreTest, FindsTheDigestOfWhatIsBeingMade) {
  BlobWriter writer = store_.writer("text/plain");
  writer.write("hel");
  writer.write("lo");
  EXPECT_EQ(writer.written(), 5U);
  const Descriptor blob = writer.commit();
  EXPECT_EQ(blob.digest, digest_of("hello"));
  EXPECT_EQ(blob.size, 5U);
  EXPECT_EQ(blob.media_type, "text/plain");
}

TEST_F(StoreTest, RefusesAnotherContent) {
  BlobWriter writer = store_.writer(expectation("hello"));
  writer.write("hallo");
  const sdk::Error error = error_of([&] { writer.commit(); });
  EXPECT_EQ(error.status, PIPE_E_MISMATCH);
  EXPECT_THAT(error.message, HasSubstr(digest_of("hallo").str()));
  EXPECT_FALSE(store_.has(expectation("hello")));
}

TEST_F(StoreTest, RefusesAnotherLength) {
  BlobWriter longer = store_.writer(expectation("hello"));
  EXPECT_EQ(error_of([&] { longer.write("hello!"); }).message,
            "blob sha256:2cf24dba5fb0 is longer than the 5 bytes it should have");
  BlobWriter shorter = store_.writer(expectation("hello"));
  shorter.write("hell");
  EXPECT_EQ(error_of([&] { shorter.commit(); }).message, "blob sha256:2cf24dba5fb0 ended after 4 of 5 bytes");
}

TEST_F(StoreTest, RemovesWhatWasNotCommitted) {
  {
    BlobWriter writer = store_.writer(expectation("hello"));
    writer.write("hel");
    EXPECT_EQ(names_in(partials_).size(), 1U);
  }
  EXPECT_THAT(names_in(partials_), IsEmpty());
}

TEST_F(StoreTest, TakesTheSameBlobTwice) {
  store_.put("hello", "a/b");
  BlobWriter writer = store_.writer(expectation("hello"));
  writer.write("hello");
  writer.commit();
  EXPECT_THAT(names_in(partials_), IsEmpty());
  EXPECT_EQ(store_.read(expectation("hello")), "hello");
}

TEST_F(StoreTest, ReplacesADamagedBlobOfAnotherSize) {
  const Descriptor blob = store_.put("hello", "a/b");
  write_all(store_.blob_path(blob.digest), "hel");
  EXPECT_FALSE(store_.has(blob));
  store_.put("hello", "a/b");
  EXPECT_EQ(store_.read(blob), "hello");
}

TEST_F(StoreTest, GoesOnWhereAnEarlierWriterStopped) {
  const Descriptor blob = expectation("hello");
  {
    BlobWriter writer = store_.resume(blob);
    EXPECT_EQ(writer.written(), 0U);
    writer.write("hel");
  }
  Store reopened(store_.path());
  BlobWriter writer = reopened.resume(blob);
  EXPECT_EQ(writer.written(), 3U);
  writer.write("lo");
  writer.commit();
  EXPECT_EQ(store_.read(blob), "hello");
  EXPECT_THAT(names_in(partials_), IsEmpty());
}

TEST_F(StoreTest, StartsAnewAfterAWrongContent) {
  const Descriptor blob = expectation("hello");
  {
    BlobWriter writer = store_.resume(blob);
    writer.write("hallo");
    EXPECT_EQ(error_of([&] { writer.commit(); }).status, PIPE_E_MISMATCH);
  }
  EXPECT_EQ(store_.resume(blob).written(), 0U);
}

TEST_F(StoreTest, DropsALeftoverThatIsTooLong) {
  const Descriptor blob = expectation("hello");
  write_all(partials_ / ("sha256-" + std::string(blob.digest.hex())), "hello, world");
  EXPECT_EQ(store_.resume(blob).written(), 0U);
}

TEST_F(StoreTest, TwoWritersOfOneBlobDoNotDisturbEachOther) {
  const Descriptor blob = expectation("hello");
  BlobWriter one = store_.resume(blob);
  one.write("hel");
  BlobWriter other = store_.resume(blob);
  EXPECT_EQ(other.written(), 0U);
  other.write("hello");
  other.commit();
  one.write("lo");
  one.commit();
  EXPECT_EQ(store_.read(blob), "hello");
}

TEST_F(StoreTest, FollowsNoLinkToABlob) {
  const Descriptor blob = expectation("secret");
  write_all(dir_ / "elsewhere", "secret");
  fs::create_symlink(dir_ / "elsewhere", store_.blob_path(blob.digest));
  EXPECT_FALSE(store_.has(blob));
  const sdk::Error error = error_of([&] { store_.read(blob); });
  EXPECT_EQ(error.status, PIPE_E_IO);
  EXPECT_THAT(error.message, HasSubstr("symbolic link"));
}

TEST_F(StoreTest, DoesNotHangOnAPipeThatPosesAsABlob) {
  const Descriptor blob{.media_type = "m", .digest = digest_of("x"), .size = 0};
  ASSERT_EQ(mkfifo(store_.blob_path(blob.digest).c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { store_.read(blob); }).message, HasSubstr("not a regular file"));
}

TEST_F(StoreTest, NoticesDamage) {
  const Descriptor blob = store_.put("hello", "a/b");
  write_all(store_.blob_path(blob.digest), "hallo");
  const sdk::Error error = error_of([&] { store_.read(blob); });
  EXPECT_EQ(error.status, PIPE_E_MISMATCH);
  EXPECT_THAT(error.hint, HasSubstr("pull the image again"));
  write_all(store_.blob_path(blob.digest), "hell");
  EXPECT_THAT(error_of([&] { store_.read(blob); }).message, HasSubstr("should have 5 bytes and has 4"));
}

TEST_F(StoreTest, ReadsNoMoreThanIsAllowed) {
  const Descriptor blob = store_.put("hello", "a/b");
  EXPECT_EQ(error_of([&] { store_.read(blob, 4); }).status, PIPE_E_INVALID);
  EXPECT_EQ(error_of([&] { store_.read(expectation("other")); }).status, PIPE_E_NOT_FOUND);
}

TEST_F(StoreTest, NamesAnImageAndForgetsTheName) {
  Descriptor image = make_image(store_, "one");
  image.annotations["from"] = "here";
  store_.tag("docker.io/library/app:1", image);
  const std::optional<Descriptor> found = store_.resolve("docker.io/library/app:1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, image.digest);
  EXPECT_EQ(found->size, image.size);
  EXPECT_THAT(found->annotations, ElementsAre(std::pair<const std::string, std::string>("from", "here")));
  EXPECT_FALSE(store_.resolve("docker.io/library/app"));
  EXPECT_FALSE(store_.resolve(""));
  EXPECT_TRUE(store_.untag("docker.io/library/app:1"));
  EXPECT_FALSE(store_.untag("docker.io/library/app:1"));
  EXPECT_THAT(store_.list(), IsEmpty());
}

TEST_F(StoreTest, MovesAName) {
  store_.tag("app:1", make_image(store_, "one"));
  store_.tag("other:1", make_image(store_, "one"));
  store_.tag("app:1", make_image(store_, "two"));
  EXPECT_EQ(store_.resolve("app:1")->digest, make_image(store_, "two").digest);
  EXPECT_EQ(store_.list().size(), 2U);
}

TEST_F(StoreTest, WritesNothingForANameThatIsThere) {
  const Descriptor image = make_image(store_, "one");
  store_.tag("app:1", image);
  struct stat before {
  }, after{};
  ASSERT_EQ(stat((store_.path() / "index.json").c_str(), &before), 0);
  store_.tag("app:1", image);
  ASSERT_EQ(stat((store_.path() / "index.json").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(StoreTest, KnowsManyNamesAtOnceAndWritesThemTogether) {
  const Descriptor image = make_image(store_, "one");
  const Store other(store_.path());
  store_.tag_soon("app:1", image);
  EXPECT_TRUE(other.resolve("app:1"));  // the first does not wait for others
  const std::string written = read_all(store_.path() / "index.json");
  store_.tag_soon("app:2", image);
  store_.tag_soon("app:3", image);
  EXPECT_TRUE(store_.resolve("app:2"));
  if (read_all(store_.path() / "index.json") != written) GTEST_SKIP() << "a second has passed already";
  EXPECT_FALSE(other.resolve("app:2"));
  store_.sync();
  EXPECT_TRUE(other.resolve("app:3"));
}

TEST_F(StoreTest, WritesNamesThatWaitBeforeItListsOrDropsOrEnds) {
  const Descriptor image = make_image(store_, "one");
  store_.tag_soon("app:1", image);
  store_.tag_soon("app:2", image);
  EXPECT_EQ(store_.list().size(), 2U);
  store_.tag_soon("app:3", image);
  EXPECT_TRUE(store_.untag("app:3"));
  store_.tag_soon("app:3", make_image(store_, "two"));
  store_.tag("app:3", image);
  {
    Store other(store_.path());
    other.tag_soon("b:1", image);
    other.tag_soon("b:2", image);
  }
  EXPECT_EQ(store_.list().size(), 5U);
  EXPECT_EQ(store_.resolve("app:3")->digest, image.digest);
  EXPECT_THAT(store_.untag({"app:1", "b:2", "nothing:1"}), ElementsAre("app:1", "b:2"));
  EXPECT_EQ(store_.list().size(), 3U);
}

TEST_F(StoreTest, SeesWhatOthersNamedMeanwhile) {
  const Descriptor image = make_image(store_, "one"), next = make_image(store_, "two");
  Store other(store_.path());
  for (int turn = 0; turn < 50; ++turn) {  // inodes that are free are taken again
    other.tag("app:1", turn % 2 == 0 ? image : next);
    ASSERT_EQ(store_.resolve("app:1")->digest, (turn % 2 == 0 ? image : next).digest);
  }
}

TEST_F(StoreTest, FindsWhatAPersonMeans) {
  const Descriptor image = make_image(store_, "one"), other = make_image(store_, "two");
  auto index = nlohmann::json::parse(read_all(store_.path() / "index.json"));
  index["manifests"].push_back(
      {{"mediaType", image.media_type}, {"digest", image.digest.str()}, {"size", image.size}});
  write_all(store_.path() / "index.json", index.dump());
  EXPECT_FALSE(store_.find(image.digest.str()));  // it has no name
  store_.tag("docker.io/library/app:1", image);
  store_.tag("odd name", other);
  for (const std::string &text : {std::string("app:1"), std::string("docker.io/library/app:1"),
                                  image.digest.str(), "x@" + image.digest.str()})
    EXPECT_EQ(store_.find(text).value_or(StoredImage()).name, "docker.io/library/app:1") << text;
  EXPECT_EQ(store_.find("odd name")->descriptor.digest, other.digest);
  EXPECT_FALSE(store_.find("app:2"));
  EXPECT_FALSE(store_.find(""));
}

TEST_F(StoreTest, NamesOnlyWhatIsThere) {
  EXPECT_EQ(error_of([&] { store_.tag("app:1", expectation("x")); }).status, PIPE_E_NOT_FOUND);
  EXPECT_EQ(error_of([&] { store_.tag("", make_image(store_, "x")); }).status, PIPE_E_INVALID);
}

TEST_F(StoreTest, LeavesWhatOtherToolsWroteIntoTheIndex) {
  const Descriptor image = make_image(store_, "one");
  auto index = nlohmann::json::parse(read_all(store_.path() / "index.json"));
  index["annotations"] = {{"who", "another"}};
  index["manifests"].push_back(
      {{"mediaType", image.media_type}, {"digest", image.digest.str()}, {"size", image.size}});
  write_all(store_.path() / "index.json", index.dump());
  store_.tag("app:1", image);
  const auto after = nlohmann::json::parse(read_all(store_.path() / "index.json"));
  EXPECT_EQ(after["annotations"]["who"], "another");
  EXPECT_EQ(after["manifests"].size(), 2U);
}

TEST_F(StoreTest, SaysWhatIsWrongWithTheIndex) {
  write_all(store_.path() / "index.json", "{");
  EXPECT_THAT(error_of([&] { store_.resolve("a"); }).message, HasSubstr("index.json is no index"));
  write_all(store_.path() / "index.json",
            R"({"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"a"}}]})");
  EXPECT_THAT(error_of([&] { store_.resolve("a"); }).message, HasSubstr("an entry of"));
  fs::remove(store_.path() / "index.json");
  EXPECT_THAT(error_of([&] { store_.list(); }).message, HasSubstr("No such file"));
}

TEST(StoreOpening, TakesNoFolderWithOtherFiles) {
  const TempDir dir;
  write_all(dir / "mail", "x");
  const sdk::Error error = error_of([&] { const Store store(dir.path()); });
  EXPECT_EQ(error.status, PIPE_E_IO);
  EXPECT_THAT(error.message, HasSubstr("is no image store"));
  EXPECT_THAT(names_in(dir.path()), ElementsAre("mail"));
}

TEST(StoreOpening, TakesNoLayoutOfAnotherVersion) {
  const TempDir dir;
  write_all(dir / "oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
  EXPECT_THAT(error_of([&] { const Store store(dir.path()); }).message, HasSubstr("version 1"));
}

TEST(StoreOpening, FinishesWhatAKilledProcessBegan) {
  const TempDir dir;
  fs::create_directories(dir / "store/blobs");
  write_all(dir / "store/.lock", "");
  write_all(dir / "store/index.json.tmp", "{");
  Store store(dir / "store");
  EXPECT_THAT(store.list(), IsEmpty());
}

TEST(StoreOpening, RemovesWhatKilledWritersLeft) {
  const TempDir dir;
  const fs::path partials = dir / "store/.partial";
  { const Store store(dir / "store"); }
  write_all(partials / "new-0123", "x");
  write_all(partials / "sha256-fresh", "x");
  write_all(partials / "sha256-old", "x");
  const timespec old[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (partials / "sha256-old").c_str(), old, 0), 0);
  Store store(dir / "store");
  EXPECT_THAT(names_in(partials), ElementsAre("sha256-fresh"));
  BlobWriter living = store.writer("text/plain");
  living.write("hello");
  { const Store other(dir / "store"); }
  EXPECT_EQ(living.commit().digest, digest_of("hello"));
}

TEST(StoreOpening, FindsItsPlaceAsXdgSays) {
  const TempDir dir;
  const pid_t child = start_child([&] {
    setenv("PIPE_STORE", "/a/store", 1);
    if (Store::default_path() != "/a/store") return 1;
    unsetenv("PIPE_STORE");
    setenv("XDG_DATA_HOME", "/data", 1);
    if (Store::default_path() != "/data/pipe/store") return 2;
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", "/home/me", 1);
    return Store::default_path() == "/home/me/.local/share/pipe/store" ? 0 : 3;
  });
  EXPECT_EQ(wait_for(child), 0);
}

// skopeo loses entries here (skopeo #2184).
TEST(StoreProcesses, EightWritersLoseNothing) {
  const TempDir dir;
  constexpr int kWriters = 8, kImages = 12;
  std::vector<pid_t> children;
  for (int writer = 0; writer < kWriters; ++writer)
    children.push_back(start_child([&, writer] {
      Store store(dir / "store");
      for (int i = 0; i < kImages; ++i) {
        // Half of the images are everyone's.
        const std::string content = i % 2 == 0 ? "shared " + std::to_string(i)
                                               : "own " + std::to_string(writer) + " " + std::to_string(i);
        store.tag("app" + std::to_string(writer) + ":" + std::to_string(i), make_image(store, content));
      }
      return 0;
    }));
  for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  const Store store(dir / "store");
  const std::vector<StoredImage> images = store.list();
  EXPECT_EQ(images.size(), static_cast<std::size_t>(kWriters * kImages));
  for (const StoredImage &image : images) {
    const Manifest manifest = store.manifest(image.descriptor);
    EXPECT_FALSE(store.read(*manifest.config).empty());
    EXPECT_FALSE(store.read(manifest.layers.at(0)).empty());
  }
  EXPECT_THAT(names_in(dir / "store/.partial"), IsEmpty());
}

TEST(StoreProcesses, AKillAtAnyMomentLeavesAWholeStore) {
  const TempDir dir;
  const std::string content(300000, 'x');
  for (int round = 0; round < 20; ++round) {
    const pid_t child = start_child([&] {
      Store store(dir / "store");
      for (int i = 0;; ++i) {
        const std::string name = std::to_string(round) + "-" + std::to_string(i);
        store.tag("app:" + name, make_image(store, content + name));
      }
      return 0;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + round));
    kill(child, SIGKILL);
    EXPECT_EQ(wait_for(child), 128 + SIGKILL);
    const Store store(dir / "store");
    for (const StoredImage &image : store.list())
      EXPECT_NO_THROW(store.read(store.manifest(image.descriptor).layers.at(0)));
    EXPECT_THAT(names_in(dir / "store/.partial"), IsEmpty());
  }
}

// A limit on the size of files stands for the full disk: it needs no privilege. ENOSPC itself is seen by
// the step tests, on a small file system.
TEST(StoreDisk, SaysThatTheDiskIsFull) {
  const TempDir dir;
  const pid_t child = start_child([&] {
    Store store(dir / "store");
    const Descriptor image = make_image(store, "before");
    store.tag("app:1", image);
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const std::string content(10000, 'x');
    const sdk::Error error = error_of([&] { store.put(content, "text/plain"); });
    if (error.status != PIPE_E_IO || error.message.find("File too large") == std::string::npos) return 2;
    if (error.message.find("/.partial/") == std::string::npos || error.hint.empty()) return 3;
    if (!fs::is_empty(dir / "store/.partial")) return 4;
    if (store.resolve("app:1")->digest != image.digest) return 5;
    const std::string name(5000, 'n');  // an index that grows too large
    if (error_of([&] { store.tag(name, image); }).status != PIPE_E_IO) return 6;
    return store.list().size() == 1 ? 0 : 7;
  });
  EXPECT_EQ(wait_for(child), 0);
}

TEST(StoreDisk, SaysBeforehandThatABlobDoesNotFit) {
  const TempDir dir;
  Store store(dir / "store");
  const Descriptor huge{.media_type = "m", .digest = digest_of("x"), .size = std::uint64_t{1} << 49};
  const sdk::Error error = error_of([&] { store.writer(huge); });
  EXPECT_EQ(error.status, PIPE_E_IO);
  EXPECT_THAT(error.message, HasSubstr("not enough room in"));
}

}  // namespace
}  // namespace pipes::oci
