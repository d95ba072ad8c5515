#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/digest.hpp>

#include <string>

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;

const std::string kEmpty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string message_of(std::string_view text) {
  try {
    Digest::parse(text);
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_INVALID);
    return error.message;
  }
  return "no error";
}

TEST(Digest, HashesAsTheStandardSays) {
  EXPECT_EQ(digest_of("").str(), kEmpty);
  EXPECT_EQ(digest_of("abc").str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("abc", "sha512").hex().substr(0, 32), "ddaf35a193617abacc417349ae204131");
}

TEST(Digest, PiecesHashAsTheWhole) {
  Hasher hasher;
  hasher.update("a");
  hasher.update("");
  hasher.update("bc");
  EXPECT_EQ(hasher.finish(), digest_of("abc"));
}

TEST(Digest, HasParts) {
  const Digest digest = Digest::parse(kEmpty);
  EXPECT_EQ(digest.algorithm(), "sha256");
  EXPECT_EQ(digest.hex(), kEmpty.substr(7));
  EXPECT_EQ(digest.brief(), "sha256:e3b0c44298fc");
}

// Whatever gets past here ends in a path and in a URL (CVE-2024-3727).
TEST(Digest, RefusesWhatIsNoDigest) {
  EXPECT_THAT(message_of(""), HasSubstr("no ':'"));
  EXPECT_THAT(message_of("sha256"), HasSubstr("no ':'"));
  EXPECT_THAT(message_of("md5:d41d8cd98f00b204e9800998ecf8427e"), HasSubstr("neither sha256 nor sha512"));
  EXPECT_THAT(message_of("sha256:e3b0"), HasSubstr("has 64 hex digits, this has 4"));
  EXPECT_THAT(message_of(kEmpty + "0"), HasSubstr("this has 65"));
  EXPECT_THAT(message_of("sha512:" + kEmpty.substr(7)), HasSubstr("sha512 has 128"));
  std::string upper = kEmpty;
  upper[8] = 'B';
  EXPECT_THAT(message_of(upper), HasSubstr("only the digits"));
  std::string path = kEmpty;
  path.replace(7, 9, "../../../");
  EXPECT_THAT(message_of(path), HasSubstr("only the digits"));
  EXPECT_FALSE(Digest::try_parse(path));
  EXPECT_FALSE(Digest::try_parse(std::string_view("sha256:\0", 8)));
}

TEST(Hasher, KnowsNoOtherAlgorithm) {
  EXPECT_THROW(Hasher("md5"), sdk::Error);
}

}  // namespace
}  // namespace pipes::oci
