// Plugin files as they should not be. The ELF files are made here byte by byte, so that each field of
// them can be wrong.
#include "core/base/error.hpp"
#include "core/plugin/registry.hpp"
#include "tests/unit/core/support.hpp"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

namespace pipes {
namespace {

using test::TempDir;

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64, kOtherMachine = EM_AARCH64;
#else
constexpr Elf64_Half kMachine = EM_AARCH64, kOtherMachine = EM_X86_64;
#endif

std::string metadata(const std::string &step, const std::string &abi = "[1,0]") {
  return R"({"pipe":1,"abi":)" + abi + R"(,"step":")" + step + R"(","version":"1","params":[],"outputs":[]})";
}

/// A small ELF file: one segment, and the sections .shstrtab and pipemeta.
struct ElfFile {
  Elf64_Ehdr header{};
  Elf64_Phdr segment{};
  Elf64_Shdr sections[3]{};
  std::string names = std::string("\0.shstrtab\0pipemeta\0", 20), contents;

  explicit ElfFile(std::string json) : contents(std::move(json)) {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
    header.e_machine = kMachine;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 3;
    header.e_shstrndx = 1;
    const std::uint64_t names_at = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr), text_at = names_at + names.size();
    header.e_shoff = (text_at + contents.size() + 7) / 8 * 8;
    segment.p_type = PT_LOAD;
    segment.p_filesz = segment.p_memsz = text_at + contents.size();
    sections[1] = {1, SHT_STRTAB, 0, 0, names_at, names.size(), 0, 0, 1, 0};
    sections[2] = {11, SHT_PROGBITS, SHF_ALLOC, text_at, text_at, contents.size(), 0, 0, 1, 0};
  }

  std::string bytes() const {
    std::string file;
    const auto add = [&](const void *data, std::size_t size) {
      file.append(static_cast<const char *>(data), size);
    };
    add(&header, sizeof header);
    add(&segment, sizeof segment);
    file += names + contents;
    file.resize((file.size() + 7) / 8 * 8);
    add(sections, sizeof sections);
    return file;
  }
};

class PluginFileTest : public ::testing::Test {
 protected:
  /// The metadata, or what is wrong with the file without its name.
  std::string read(const std::string &bytes) {
    const std::string path = dir_.write("pipe-x.so", bytes);
    try {
      return read_metadata_section(path);
    } catch (const Error &e) {
      EXPECT_EQ(e.code, Exit::plugin);
      const std::string start = "plugin file " + path + " ";
      EXPECT_TRUE(e.message.starts_with(start)) << e.message;
      return "! " + e.message.substr(std::min(start.size(), e.message.size()));
    }
  }
  std::string read(const ElfFile &file) { return read(file.bytes()); }
  /// As `pipe plugins list` meets it.
  PluginFile scan(const std::string &name, const std::string &bytes) {
    const TempDir folder;
    folder.write(name, bytes);
    PluginRegistry registry({folder.path()});
    return registry.all().at(0);
  }
  TempDir dir_;
};

TEST_F(PluginFileTest, GivesTheSectionsContents) {
  EXPECT_EQ(read(ElfFile("hello")), "hello");
}

TEST_F(PluginFileTest, IsNoLibrary) {
  EXPECT_EQ(read(std::string()), "! is not a shared library");
  EXPECT_EQ(read(std::string("#!/bin/sh\necho hello\n")), "! is not a shared library");
  EXPECT_EQ(read(std::string("\x7f"
                             "ELF")),
            "! is not a shared library");
}

TEST_F(PluginFileTest, IsAProgram) {
  ElfFile file("x");
  file.header.e_type = ET_EXEC;
  EXPECT_EQ(read(file), "! is not a shared library");
}

TEST_F(PluginFileTest, IsForAnotherMachine) {
  ElfFile file("x");
  file.header.e_machine = kOtherMachine;
  EXPECT_TRUE(read(file).starts_with("! is built for another machine (this one is "));
}

TEST_F(PluginFileTest, HasNoMetadata) {
  ElfFile file("x");
  file.names[12] = 'o';  // popemeta
  EXPECT_EQ(read(file), "! is no plugin: it has no section `pipemeta`");
}

TEST_F(PluginFileTest, EndsBeforeASegmentDoes) {
  ElfFile file("x");
  file.segment.p_filesz = 1U << 20;
  EXPECT_TRUE(read(file).starts_with("! is truncated: a segment should end at byte 1048576")) << read(file);
}

TEST_F(PluginFileTest, HasASegmentWhoseEndOverflows) {
  ElfFile file("x");
  file.segment.p_offset = 16;
  file.segment.p_filesz = UINT64_MAX - 8;
  EXPECT_TRUE(read(file).starts_with("! is truncated: a segment")) << read(file);
}

TEST_F(PluginFileTest, HasMetadataBehindItsEnd) {
  ElfFile file("x");
  file.sections[2].sh_offset = 1U << 30;
  EXPECT_TRUE(read(file).starts_with("! is truncated: its metadata")) << read(file);
}

TEST_F(PluginFileTest, HasTooMuchMetadata) {
  EXPECT_EQ(read(ElfFile(std::string((1U << 20) + 1, 'x'))),
            "! is damaged: its metadata of 1048577 bytes is larger than 1048576");
}

TEST_F(PluginFileTest, HasMetadataWithoutBytes) {
  ElfFile file("x");
  file.sections[2].sh_type = SHT_NOBITS;
  EXPECT_EQ(read(file), "! is damaged: its metadata section has a wrong type");
}

TEST_F(PluginFileTest, HasNoSectionTable) {
  ElfFile file("x");
  file.header.e_shoff = 0;
  file.header.e_shnum = 0;
  EXPECT_EQ(read(file), "! is damaged: it has no section table");
}

TEST_F(PluginFileTest, IsMissing) {
  try {
    read_metadata_section(dir_.path() / "none.so");
    FAIL() << "it was read";
  } catch (const Error &e) {
    EXPECT_TRUE(e.message.ends_with("cannot be read: No such file or directory")) << e.message;
  }
}

TEST_F(PluginFileTest, IsAFolderOrAFifo) {
  std::filesystem::create_directory(dir_.path() / "folder.so");
  ASSERT_EQ(::mkfifo((dir_.path() / "fifo.so").c_str(), 0600), 0);
  for (const char *name : {"folder.so", "fifo.so"}) {
    try {
      read_metadata_section(dir_.path() / name);
      FAIL() << "it was read";
    } catch (const Error &e) {
      EXPECT_TRUE(e.message.ends_with("is not a regular file")) << e.message;
    }
  }
}

TEST_F(PluginFileTest, MayBeWrittenByOthers) {
  for (const mode_t mode : {0664, 0646}) {
    const std::string path = dir_.write("pipe-x.so", ElfFile("x").bytes());
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    try {
      read_metadata_section(path);
      FAIL() << "it was read";
    } catch (const Error &e) {
      EXPECT_TRUE(e.message.ends_with("is not trusted: others than its owner may write to it")) << e.message;
      EXPECT_EQ(e.hint, "if you trust what it holds: chmod go-w " + path);
    }
  }
}

TEST_F(PluginFileTest, TruncatedAnywhereIsRefused) {
  const std::string whole = ElfFile(metadata("x")).bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(read(whole.substr(0, size)).starts_with("! ")) << size;
  }
}

TEST_F(PluginFileTest, ARealLibraryTruncatedAnywhereIsRefused) {
  std::ifstream in("/proc/self/exe", std::ios::binary);  // a position-independent program is ET_DYN too
  std::string whole{std::istreambuf_iterator<char>(in), {}};
  ASSERT_GT(whole.size(), 100000U);
  const std::string path = dir_.write("pipe-x.so", whole);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  const std::size_t step = std::max<std::size_t>(64, whole.size() / 500 / 64 * 64);
  for (std::size_t size = (whole.size() - 1) / step * step; size > 0; size -= step) {
    ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(size)), 0);
    EXPECT_THROW(read_metadata_section(path), Error) << size;
  }
}

TEST_F(PluginFileTest, NoFlippedBitCrashesTheReader) {
  const std::string whole = ElfFile(metadata("x")).bytes();
  int refused = 0;
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    if (!scan("pipe-x.so", damaged).problem.empty()) ++refused;
  }
  EXPECT_GT(refused, 500);
}

TEST_F(PluginFileTest, NoRandomDamageCrashesTheReader) {
  const std::string whole = ElfFile(metadata("x")).bytes();
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same files on every run
  for (int round = 0; round < 1000; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 8; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    const PluginFile file = scan("pipe-x.so", damaged);
    EXPECT_TRUE(!file.problem.empty() || file.steps.size() == 1);
  }
}

TEST_F(PluginFileTest, NeedsANewerAbi) {
  const PluginFile file = scan("pipe-pull.so", ElfFile(metadata("pull", "[1,3]")).bytes());
  const std::string start = "plugin `pull` (" + file.path.string() + ") needs pipe ABI 1.3; this pipe ";
  EXPECT_TRUE(file.problem.starts_with(start)) << file.problem;
  EXPECT_TRUE(file.problem.ends_with(" provides 1.0")) << file.problem;
  EXPECT_EQ(file.hint, "update pipe or rebuild the plugin with an older SDK");
}

TEST_F(PluginFileTest, NeedsAnOlderAbi) {
  EXPECT_EQ(scan("pipe-pull.so", ElfFile(metadata("pull", "[0,9]")).bytes()).hint,
            "rebuild the plugin with the SDK of this pipe");
}

TEST_F(PluginFileTest, HoldsAnotherStepThanItsNameSays) {
  const PluginFile file = scan("pipe-pul.so", ElfFile(metadata("pull")).bytes());
  EXPECT_EQ(file.problem,
            "plugin file " + file.path.string() + " holds the step `pull`, which its name does not say");
  EXPECT_EQ(file.hint, "rename it to pipe-pull.so");
}

TEST_F(PluginFileTest, HasMetadataThatIsNoJson) {
  const PluginFile file = scan("pipe-x.so", ElfFile("{oops").bytes());
  EXPECT_EQ(file.problem, "plugin file " + file.path.string() +
                              ": the plugin's metadata is wrong: it is not JSON: wrong at byte 2");
}

class RegistryTest : public ::testing::Test {
 protected:
  static std::string plugin(const TempDir &folder, const std::string &step) {
    return folder.write("pipe-" + step + ".so", ElfFile(metadata(step)).bytes());
  }
  TempDir first_, second_;
  PluginRegistry registry_{{first_.path(), first_.path() / "none", second_.path()}};
};

TEST_F(RegistryTest, TheFirstFolderWinsAndTheOtherIsShadowed) {
  const std::string path = plugin(first_, "pull");
  plugin(second_, "pull");
  plugin(second_, "push");
  EXPECT_EQ(registry_.find("pull").path, path);
  ASSERT_EQ(registry_.all().size(), 3U);
  EXPECT_FALSE(registry_.all()[0].shadowed);
  EXPECT_TRUE(registry_.all()[1].shadowed);
  EXPECT_EQ(registry_.names(), (std::vector<std::string>{"pull", "push"}));
}

TEST_F(RegistryTest, FindsNothingWhereThereIsNone) {
  const PluginRegistry::Found found = registry_.find("pull");
  EXPECT_EQ(found.schema, nullptr);
  EXPECT_TRUE(found.problem.empty());
}

TEST_F(RegistryTest, AStepsNameLeadsToNoOtherFolder) {
  plugin(second_, "pull");
  for (const std::string name : {"../pull", "/pull", "", "pull.so", "a/../pull"}) {
    EXPECT_EQ(registry_.find(name).schema, nullptr) << name;
  }
}

TEST_F(RegistryTest, SaysWhyAFileCannotBeUsed) {
  first_.write("pipe-pull.so", "text");
  plugin(second_, "pull");
  const PluginRegistry::Found found = registry_.find("pull");
  EXPECT_EQ(found.schema, nullptr);
  EXPECT_TRUE(found.problem.ends_with("is not a shared library")) << found.problem;
}

TEST_F(RegistryTest, FindsTheSecondStepOfAFile) {
  first_.write("pipe-pull.so", ElfFile("[" + metadata("pull") + "," + metadata("fetch") + "]").bytes());
  EXPECT_NE(registry_.find("fetch").schema, nullptr);
}

TEST_F(RegistryTest, IgnoresFilesOfOtherNames) {
  first_.write("pull.so", "x");
  first_.write("pipe-.so", "x");
  first_.write("pipe-pull.so.1", "x");
  EXPECT_TRUE(registry_.all().empty());
}

TEST_F(RegistryTest, LooksInTheFoldersInOrderAndNeverInTheCurrentOne) {
  const test::Environment path("PIPE_PLUGIN_PATH", "/env/a::/env/b:"), data("XDG_DATA_HOME", "/data");
  const auto folders = PluginRegistry::default_folders({"/cli"});
  ASSERT_EQ(folders.size(), 5U);
  EXPECT_EQ(folders[0], "/cli");
  EXPECT_EQ(folders[1], "/env/a");
  EXPECT_EQ(folders[2], "/env/b");
  EXPECT_EQ(folders[3], "/data/pipe/plugins");
  EXPECT_EQ(folders[4].filename(), "plugins");
}

}  // namespace
}  // namespace pipes
