#include "sdk/oci/tar.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sdk/oci/file.hpp"
#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;
using namespace pipes::oci::testing;

std::string member(const TarEntry &entry, const std::string &content = "") {
  return tar_header(entry) + content + std::string(tar_padding(content.size()), '\0');
}

class TarTest : public ::testing::Test {
 protected:
  std::vector<TarMember> list(const std::string &bytes) {
    const auto path = dir_ / "a.tar";
    write_all(path, bytes);
    const UniqueFd fd = open_regular(path);
    return list_tar(fd.get(), path);
  }
  std::string content(const TarMember &member) {
    return read_all(dir_ / "a.tar").substr(member.offset, member.size);
  }
  /// What bsdtar, which is another implementation, finds in the same file. Names in UTF-8 it shows in no
  /// other locale.
  std::string bsdtar(const std::string &bytes) {
    write_all(dir_ / "b.tar", bytes);
    const std::string command =
        "LC_ALL=C.UTF-8 bsdtar -tvf " + (dir_ / "b.tar").string() + " > " + (dir_ / "list").string();
    EXPECT_EQ(std::system(command.c_str()), 0);
    return read_all(dir_ / "list");
  }

  TempDir dir_;
  std::string end_ = std::string(kTarEnd, '\0');
};

TEST_F(TarTest, ReadsWhatItWrote) {
  const std::string bytes = member({.path = "dir/", .type = TarType::folder, .mode = 0755}) +
                            member({.path = "dir/file", .size = 5}, "hello") +
                            member({.path = "dir/link", .type = TarType::symbolic_link, .link = "file"}) +
                            member({.path = "hard", .type = TarType::hard_link, .link = "dir/file"}) + end_;
  const std::vector<TarMember> members = list(bytes);
  ASSERT_EQ(members.size(), 4U);
  EXPECT_EQ(members[0].path, "dir");
  EXPECT_EQ(members[0].type, TarType::folder);
  EXPECT_EQ(content(members[1]), "hello");
  EXPECT_EQ(members[2].link, "file");
  EXPECT_EQ(members[3].type, TarType::hard_link);
  EXPECT_EQ(members[3].link, "dir/file");
}

/// What a stream tells, as text.
class Told : public TarVisitor {
 public:
  void begin(const TarMember &member) override {
    text += member.path + (member.link.empty() ? "" : " -> " + member.link) + "@" +
            std::to_string(member.offset) + ":";
  }
  void content(const char *data, std::size_t size) override { text.append(data, size); }
  void end() override { text += ";"; }
  std::string text;
};

std::string told(const std::string &bytes, std::size_t piece) {
  Told visitor;
  TarStream stream("the stream", visitor);
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    stream.write(bytes.data() + at, std::min(piece, bytes.size() - at));
  stream.finish();
  return visitor.text;
}

TEST_F(TarTest, AStreamTellsWhatAListDoesHoweverItIsCut) {
  const std::string deep = std::string(90, 'd') + "/" + std::string(90, 'f');
  const std::string bytes = member({.path = "dir/", .type = TarType::folder, .mode = 0755}) +
                            member({.path = deep, .size = 1500}, std::string(1500, 'x')) +
                            member({.path = "empty"}) +
                            member({.path = "link", .type = TarType::symbolic_link, .link = "dir/file"}) +
                            member({.path = "last", .size = 512}, std::string(512, 'y')) + end_;
  std::string expected;
  for (const TarMember &each : list(bytes))
    expected += each.path + (each.link.empty() ? "" : " -> " + each.link) + "@" +
                std::to_string(each.offset) + ":" + content(each) + ";";
  for (const std::size_t piece : {1U, 511U, 512U, 700U, 100000U}) EXPECT_EQ(told(bytes, piece), expected);
  EXPECT_EQ(told(bytes + "what follows the end is nobody's", 700), expected);
  EXPECT_EQ(told(bytes.substr(0, bytes.size() - kTarEnd), 700), expected);
}

TEST_F(TarTest, AStreamNoticesWhatIsWrong) {
  const std::string bytes = member({.path = "file", .size = 5000}, std::string(5000, 'x'));
  for (const std::size_t size : {3000U, 5512U, 700U})
    EXPECT_EQ(error_of([&] { told(bytes.substr(0, size), 100); }).status, PIPE_E_MISMATCH) << size;
  EXPECT_THAT(error_of([&] { told(bytes.substr(0, 3000), 100); }).message,
              HasSubstr("the stream is cut off"));
  EXPECT_EQ(error_of([&] { told("", 1); }).status, PIPE_E_INVALID);
  EXPECT_EQ(error_of([&] { told(std::string(600, 'x'), 100); }).status, PIPE_E_INVALID);
}

TEST_F(TarTest, WritesWhatOthersRead) {
  const std::string deep = std::string(90, 'd') + "/" + std::string(90, 'f');
  const std::string bytes =
      member({.path = deep, .size = 1}, "x") +
      member({.path = "Ünïcode", .mode = 0755, .mtime = 86400, .size = 1}, "y") +
      member({.path = "far", .type = TarType::symbolic_link, .link = std::string(150, 't'), .mode = 0777}) +
      member({.path = "owned", .uid = 3000000, .gid = 12, .size = 0}) + end_;
  const std::string found = bsdtar(bytes);
  EXPECT_THAT(found, HasSubstr(deep));
  EXPECT_THAT(found, HasSubstr("-> " + std::string(150, 't')));
  EXPECT_THAT(found, HasSubstr("3000000"));
  EXPECT_THAT(found, HasSubstr("-rwxr-xr-x"));
  EXPECT_THAT(found, HasSubstr("1970"));
  const std::vector<TarMember> members = list(bytes);
  EXPECT_EQ(members.at(0).path, deep);
  EXPECT_EQ(members.at(1).path, "Ünïcode");
  EXPECT_EQ(members.at(2).link, std::string(150, 't'));
}

TEST_F(TarTest, WritesSizesBeyondEightGigabytes) {
  const std::string header = tar_header({.path = "big", .size = std::uint64_t{1} << 34});
  EXPECT_EQ(header.size(), 3 * kTarBlock);
  EXPECT_THAT(header, HasSubstr("20 size=17179869184\n"));
}

TEST_F(TarTest, ReadsWhatOtherToolsWrite) {
  const std::string name = std::string(90, 'n') + "/" + std::string(90, 'm');
  write_all(dir_ / "tree" / name, "long");
  write_all(dir_ / "tree/a", "short");
  for (const char *format : {"gnutar", "pax", "ustar"}) {
    const std::string command = std::string("bsdtar --format ") + format + " -cf " +
                                (dir_ / "o.tar").string() + " -C " + (dir_ / "tree").string() + " .";
    ASSERT_EQ(std::system(command.c_str()), 0);
    bool found = false;
    for (const TarMember &each : list(read_all(dir_ / "o.tar")))
      if (each.path == name) {
        found = true;
        EXPECT_EQ(content(each), "long");
      }
    EXPECT_TRUE(found) << format;
  }
}

TEST_F(TarTest, NoticesAMissingEnd) {
  const std::string bytes = member({.path = "file", .size = 5000}, std::string(5000, 'x'));
  EXPECT_EQ(error_of([&] { list(bytes.substr(0, 3000)); }).status, PIPE_E_MISMATCH);
  EXPECT_NO_THROW(list(bytes));  // the end marks alone may be missing
}

TEST_F(TarTest, RefusesWhatIsNoTar) {
  EXPECT_EQ(error_of([&] { list(""); }).status, PIPE_E_INVALID);
  EXPECT_THAT(error_of([&] { list(std::string(5000, 'x')); }).message, HasSubstr("a number in it is none"));
  std::string damaged = member({.path = "file"}) + end_;
  damaged[0] = 'F';
  EXPECT_THAT(error_of([&] { list(damaged); }).message, HasSubstr("checksum"));
}

/// What tells more of the entry that follows.
std::string pax_member(const std::string &records) {
  std::string header = tar_header({.path = "x", .size = records.size()});
  header[156] = 'x';
  unsigned int sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  header.replace(148, 7, std::string(text) + '\0');
  return header + records + std::string(tar_padding(records.size()), '\0');
}

TEST_F(TarTest, BelievesNoAbsurdSize) {
  const std::string bytes = pax_member("28 size=9999999999999999999\n") + member({.path = "file"}) + end_;
  EXPECT_EQ(error_of([&] { list(bytes); }).status, PIPE_E_MISMATCH);
}

TEST_F(TarTest, KeepsNoHeaderOfAnySize) {
  const std::string bytes =
      pax_member("2097159 path=" + std::string(2097145, 'a') + "\n") + member({.path = "file"}) + end_;
  EXPECT_THAT(error_of([&] { list(bytes); }).message, HasSubstr("a header of an entry is too large"));
}

}  // namespace
}  // namespace pipes::oci
