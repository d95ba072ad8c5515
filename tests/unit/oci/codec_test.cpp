#include "sdk/oci/codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <random>
#include <string>

#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;
using namespace pipes::oci::testing;

std::string sample(std::size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) text += "line " + std::to_string(random() % 5000) + "\n";
  text.resize(size);
  return text;
}

std::string gzipped(std::string_view text, std::size_t piece) {
  std::string result;
  GzipWriter writer([&](const char *data, std::size_t size) { result.append(data, size); });
  for (std::size_t at = 0; at < text.size(); at += piece)
    writer.write(text.data() + at, std::min(piece, text.size() - at));
  writer.finish();
  return result;
}

std::string zstd_of(const std::string &text) {
  std::string result(ZSTD_compressBound(text.size()), '\0');
  result.resize(ZSTD_compress(result.data(), result.size(), text.data(), text.size(), 3));
  return result;
}

std::string decoded(const std::string &bytes, std::size_t piece = 1000) {
  std::string result;
  const auto decoder = make_decoder(
      detect_compression(bytes), [&](const char *data, std::size_t size) { result.append(data, size); },
      "the file");
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    decoder->write(bytes.data() + at, std::min(piece, bytes.size() - at));
  decoder->finish();
  return result;
}

TEST(Gzip, ComesBackAsItWas) {
  for (const std::size_t size : {0U, 1U, 255U, 262143U, 262144U, 262145U, 3000000U}) {
    const std::string text = sample(size);
    EXPECT_EQ(decoded(gzipped(text, 65536)), text) << size;
  }
}

TEST(Gzip, IsTheSameHoweverTheInputIsCut) {
  const std::string text = sample(1500000);
  const std::string whole = gzipped(text, text.size());
  EXPECT_EQ(gzipped(text, 1), whole);
  EXPECT_EQ(gzipped(text, 511), whole);
  EXPECT_EQ(gzipped(text, 300000), whole);
}

// If this changes, every layer that `build` makes gets another digest.
TEST(Gzip, HasTheBytesItAlwaysHad) {
  EXPECT_EQ(digest_of(gzipped(sample(1500000), 4096)).str(),
            "sha256:744dafcb838769523b73d119a7eec94e13846ed4a1969f849ef5c1a94d746470");
}

TEST(Gzip, ReadsSeveralMembersAndPadding) {
  const std::string bytes = gzipped("one", 10) + gzipped("two", 10) + std::string(512, '\0');
  EXPECT_EQ(decoded(bytes), "onetwo");
  EXPECT_EQ(decoded(bytes, 1), "onetwo");
}

TEST(Gzip, NoticesDamageAndAMissingEnd) {
  const std::string bytes = gzipped(sample(100000), 65536);
  EXPECT_THAT(error_of([&] { decoded(bytes.substr(0, bytes.size() - 1)); }).message,
              HasSubstr("the file is cut off"));
  std::string damaged = bytes;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);  // the checksum
  EXPECT_EQ(error_of([&] { decoded(damaged); }).status, PIPE_E_MISMATCH);
  EXPECT_EQ(error_of([&] { decoded(bytes + "junk"); }).status, PIPE_E_MISMATCH);
}

TEST(Zstd, ComesBackAsItWas) {
  const std::string text = sample(3000000);
  EXPECT_EQ(decoded(zstd_of(text)), text);
  EXPECT_EQ(decoded(zstd_of("one") + zstd_of("two"), 1), "onetwo");
}

TEST(Zstd, NoticesDamageAndAMissingEnd) {
  const std::string bytes = zstd_of(sample(100000));
  EXPECT_THAT(error_of([&] { decoded(bytes.substr(0, bytes.size() - 1)); }).message, HasSubstr("cut off"));
  EXPECT_EQ(error_of([&] { decoded(bytes.substr(0, 100) + std::string(100, 'x')); }).status, PIPE_E_MISMATCH);
  EXPECT_THAT(error_of([&] { decoded(bytes.substr(0, 4) + std::string(100, '\xff')); }).message,
              HasSubstr("damaged"));
}

// CVE-2017-14992: 3 GB of nothing in 100 kB.
TEST(Codec, StopsWhatGrowsBeyondAllMeasure) {
  std::string bomb(1 << 20, '\0');
  std::string packed = zstd_of(bomb);
  const auto decoder = make_decoder(
      Compression::zstd, [](const char *, std::size_t) {}, "the file");
  const sdk::Error error = error_of([&] {
    for (int i = 0; i < 3000; ++i) decoder->write(packed.data(), packed.size());
  });
  EXPECT_EQ(error.status, PIPE_E_INVALID);
  EXPECT_THAT(error.message, HasSubstr("more than 200 times"));
}

TEST(Codec, TellsFormatsApart) {
  using namespace std::string_view_literals;
  EXPECT_EQ(detect_compression(""), Compression::none);
  EXPECT_EQ(detect_compression("\x1f"), Compression::none);
  EXPECT_EQ(detect_compression("\x50\x2a\x4d\x18\0\0"sv), Compression::zstd);
  EXPECT_EQ(detect_compression("\xfd"
                               "7zXZ\0"sv),
            Compression::other);
  EXPECT_EQ(detect_compression("manifest.json"), Compression::none);
  EXPECT_THAT(error_of([] { make_decoder(Compression::other, {}, "the file"); }).hint,
              HasSubstr("unpack it first"));
}

}  // namespace
}  // namespace pipes::oci
