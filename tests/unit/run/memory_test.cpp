#include "core/run/memory.hpp"

#include "core/run/known_settings.hpp"
#include "core/run/paths.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

namespace pipes {
namespace {

class MemoryTest : public testing::Test {
 protected:
  MemoryTest() {
    std::string pattern = testing::TempDir() + "pipe-memory-XXXXXX";
    folder = ::mkdtemp(pattern.data());
  }
  ~MemoryTest() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder;
  Redactor redactor{{"hunter2!"}};
};

TEST_F(MemoryTest, KeepsAndForgetsByStep) {
  DiskMemory memory(folder / "new", redactor);
  EXPECT_EQ(memory.remember("run", "container", "abc"), "");
  EXPECT_EQ(memory.remember("run", "volume", Value::List{"v"}), "");
  EXPECT_EQ(memory.remember("tag[\"a/b\"]", "name", "x"), "");
  EXPECT_EQ(DiskMemory(folder / "new", redactor).remembered("run"),
            (Value::Map{{"container", "abc"}, {"volume", Value::List{"v"}}}));
  EXPECT_EQ(memory.remember("run", "container", {}), "");
  EXPECT_EQ(memory.remembered("run"), (Value::Map{{"volume", Value::List{"v"}}}));
  EXPECT_EQ(memory.remember("run", "volume", {}), "");
  EXPECT_TRUE(memory.remembered("run").empty());
  EXPECT_FALSE(std::filesystem::exists(folder / "new/run.remembered.json"));
  EXPECT_EQ(memory.remembered("tag[\"a/b\"]"), (Value::Map{{"name", "x"}}));
}

TEST_F(MemoryTest, SaysWhyItCannotKeep) {
  std::ofstream(folder / "file") << "in the way";
  DiskMemory memory(folder / "file", redactor);
  EXPECT_NE(memory.remember("run", "k", "v"), "");
  memory.keep_outputs("run", {{"digest", "x"}});
  EXPECT_TRUE(memory.outputs("run").empty());
}

TEST_F(MemoryTest, KeepsNoSecret) {
  DiskMemory memory(folder, redactor);
  EXPECT_EQ(memory.remember("run", "k", "my hunter2!"), "it holds a secret");
  memory.keep_outputs("run", {{"text", "my hunter2!"}});
  EXPECT_EQ(memory.outputs("run"), (Value::Map{{"text", "my ***"}}));
}

TEST_F(MemoryTest, WritesNothingThatIsTheSame) {
  DiskMemory memory(folder, redactor);
  memory.keep_outputs("run", {{"digest", "x"}});
  struct stat before {
  }, after{};
  ASSERT_EQ(::stat((folder / "run.outputs.json").c_str(), &before), 0);
  memory.keep_outputs("run", {{"digest", "x"}});
  ASSERT_EQ(::stat((folder / "run.outputs.json").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(MemoryTest, SurvivesAFileThatWasTamperedWith) {
  std::ofstream(folder / "run.remembered.json") << "{ nonsense";
  EXPECT_TRUE(DiskMemory(folder, redactor).remembered("run").empty());
}

TEST_F(MemoryTest, KeepsOutputsBySettingsAndNotesByPipeline) {
  KnownSettings known(folder);
  const Value::Map here{{"name", "a"}}, there{{"name", "b"}};
  EXPECT_FALSE(known.has(here));
  for (const Value::Map &settings : {here, there}) {
    known.begin(settings);
    SettingsMemory memory(folder, known.folder(settings), redactor);
    memory.keep_outputs("push", settings);
    EXPECT_EQ(memory.remember("push", to_json(Value(settings)), "made"), "");
  }
  EXPECT_EQ(SettingsMemory(folder, known.folder(here), redactor).outputs("push"), here);
  EXPECT_EQ(SettingsMemory(folder, known.folder(there), redactor).outputs("push"), there);
  EXPECT_EQ(SettingsMemory(folder, known.folder(here), redactor).remembered("push").size(), 2U);
  EXPECT_EQ(known.standing().size(), 2U);
  known.end(there);
  ASSERT_EQ(known.standing().size(), 1U);
  EXPECT_EQ(known.standing().front().settings, here);
  EXPECT_TRUE(known.has(there));
}

TEST_F(MemoryTest, SettingsStandAsLongAsSomethingMadeWithThemIsRemembered) {
  KnownSettings known(folder);
  const Value::Map settings{{"name", "a"}};
  known.begin(settings);
  EXPECT_TRUE(known.has(settings)) << "a run may be killed";
  EXPECT_TRUE(known.standing().empty());
  SettingsMemory memory(folder, known.folder(settings), redactor);
  EXPECT_EQ(memory.remember("run[\"a.b\"]", "container c", "abc"), "");
  EXPECT_EQ(memory.remember("run[\"a.b\"]", "data volume v", "volume"), "");
  EXPECT_EQ(known.left(settings), KnownSettings::Left::things);
  ASSERT_EQ(known.standing().size(), 1U);
  EXPECT_FALSE(known.standing().front().only_data);
  // Another run forgets it.
  const Value::Map other{{"name", "b"}};
  SettingsMemory(folder, known.folder(other), redactor).remember("run[\"a.b\"]", "container c", {});
  EXPECT_EQ(known.left(settings), KnownSettings::Left::data);
  ASSERT_EQ(known.standing().size(), 1U);
  EXPECT_TRUE(known.standing().front().only_data);
  EXPECT_EQ(memory.remember("run[\"a.b\"]", "data volume v", {}), "");
  EXPECT_EQ(known.left(settings), KnownSettings::Left::nothing);
  EXPECT_TRUE(known.standing().empty());
  EXPECT_TRUE(known.has(settings));
}

TEST_F(MemoryTest, SettingsThatMadeNothingAreAsIfTheyHadNotBeenRunWith) {
  KnownSettings known(folder);
  const Value::Map settings{{"name", "a"}};
  known.made_nothing(settings);
  known.begin(settings);
  known.made_nothing(settings);
  EXPECT_FALSE(known.has(settings));
  known.begin(settings);
  EXPECT_TRUE(known.has(settings));
}

TEST_F(MemoryTest, ForgetsFirstTheSettingsThatWereTakenBack) {
  KnownSettings known(folder);
  const auto numbered = [](std::size_t n) { return Value::Map{{"n", static_cast<std::int64_t>(n)}}; };
  const auto count = [&] {
    std::size_t all = 0;
    for (std::size_t n = 0; n <= KnownSettings::kKept + 1; ++n) all += known.has(numbered(n)) ? 1 : 0;
    return all;
  };
  for (std::size_t n = 0; n < KnownSettings::kKept; ++n) known.begin(numbered(n));
  known.end(numbered(5));
  known.begin(numbered(KnownSettings::kKept));
  EXPECT_FALSE(known.has(numbered(5)));
  EXPECT_EQ(count(), KnownSettings::kKept);
  const std::filesystem::path note = known.folder(numbered(7)) / "settings.json";
  std::filesystem::last_write_time(note, std::filesystem::last_write_time(note) - std::chrono::hours(1));
  known.begin(numbered(KnownSettings::kKept + 1));
  EXPECT_FALSE(known.has(numbered(7)));
  EXPECT_EQ(count(), KnownSettings::kKept);
}

TEST_F(MemoryTest, OnlyOneHoldsTheLock) {
  PipelineLock first = PipelineLock::try_lock(folder);
  EXPECT_TRUE(first.held());
  EXPECT_FALSE(PipelineLock::try_lock(folder).held());
  first = PipelineLock();
  EXPECT_TRUE(PipelineLock::try_lock(folder).held());
}

TEST(FileName, IsOnePathComponentThatNothingElseMaps) {
  EXPECT_EQ(file_name("pull"), "pull");
  EXPECT_EQ(file_name("pull[\"a/b\"]"), "pull%5B%22a%2Fb%22%5D");
  EXPECT_EQ(file_name(".."), "%2E.");
  EXPECT_NE(file_name("a/b"), file_name("a_b"));
  EXPECT_LE(file_name(std::string(5000, 'x')).size(), 200U);
  EXPECT_NE(file_name(std::string(5000, 'x')), file_name(std::string(5001, 'x')));
}

TEST(MemoryFolder, DiffersByFileAsWellAsByName) {
  EXPECT_NE(memory_folder("registry", "/a/registry.toml"), memory_folder("registry", "/b/registry.toml"));
  EXPECT_EQ(memory_folder("registry", "/a/registry.toml"),
            memory_folder("registry", "/a/x/../registry.toml"));
}

}  // namespace
}  // namespace pipes
