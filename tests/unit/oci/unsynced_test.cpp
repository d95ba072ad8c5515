#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/oci/store.hpp>

#include <sys/stat.h>
#include <sys/time.h>

#include <ctime>
#include <fstream>

#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;
using namespace pipes::oci::testing;

class UnsyncedTest : public ::testing::Test {
 protected:
  std::vector<fs::path> notes() const {
    std::vector<fs::path> found;
    std::error_code none;
    for (const auto &entry : fs::directory_iterator(root_ / ".unsynced", none)) found.push_back(entry.path());
    return found;
  }
  /// As if the machine had been started again since.
  void restart() const {
    for (const fs::path &note : notes()) {
      const std::string name = note.filename().string();
      fs::rename(note, note.parent_path() / ("00000000" + name.substr(name.find('-'))));
    }
  }
  void age(int seconds) const {
    for (const fs::path &note : notes()) {
      const timeval then{std::time(nullptr) - seconds, 0};
      const timeval times[2] = {then, then};
      ASSERT_EQ(utimes(note.c_str(), times), 0);
    }
  }
  void damage(const Descriptor &blob) const {
    std::ofstream(store_.blob_path(blob.digest), std::ios::binary | std::ios::in) << 'X';
  }

  TempDir dir_;
  fs::path root_ = dir_ / "store";
  Store store_{root_};
};

TEST_F(UnsyncedTest, NotesABlobBeforeItHasItsName) {
  store_.put("hello", "text/plain");
  ASSERT_EQ(notes().size(), 1u);
  EXPECT_THAT(notes().front().string(), ::testing::EndsWith(digest_of("hello").hex()));
}

TEST_F(UnsyncedTest, ForgetsWhatMustBeWrittenByNow) {
  store_.put("hello", "text/plain");
  Store{root_};
  EXPECT_EQ(notes().size(), 1u);
  age(61);
  Store{root_};
  EXPECT_TRUE(notes().empty());
}

TEST_F(UnsyncedTest, RemovesWhatAPowerCutDamagedAndNothingElse) {
  const Descriptor sound = store_.put("sound", "text/plain"), broken = store_.put("broken", "text/plain");
  damage(broken);
  Store{root_};
  EXPECT_TRUE(store_.has(broken)) << "the machine was not started again";
  restart();
  Store{root_};
  EXPECT_TRUE(store_.has(sound));
  EXPECT_FALSE(store_.has(broken));
  EXPECT_TRUE(notes().empty());
}

TEST_F(UnsyncedTest, KeepsTheNoteOfABlobThatIsAboutToGetItsName) {
  const Descriptor blob = store_.put("hello", "text/plain");
  fs::rename(store_.blob_path(blob.digest), root_ / ".partial/its-writer-has-it");
  store_.sync();
  EXPECT_EQ(notes().size(), 1u);
  age(61);  // the writer was killed
  store_.sync();
  EXPECT_TRUE(notes().empty());
}

TEST_F(UnsyncedTest, DropsNotesOfBlobsThatAreGone) {
  const Descriptor blob = store_.put("hello", "text/plain");
  fs::remove(store_.blob_path(blob.digest));
  restart();
  Store{root_};
  EXPECT_TRUE(notes().empty());
}

TEST_F(UnsyncedTest, WaitsForTheDiskWhereAsked) {
  store_.put("hello", "text/plain");
  store_.sync();
  EXPECT_TRUE(notes().empty());
}

}  // namespace
}  // namespace pipes::oci
