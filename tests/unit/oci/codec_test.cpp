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

std::string noise(std::size_t size) {
  std::mt19937 random(8);
  std::string bytes(size, '\0');
  for (char &c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::string gzipped(std::string_view text, std::size_t piece, Workers *workers = nullptr) {
  std::string result;
  GzipWriter writer([&](const char *data, std::size_t size) { result.append(data, size); }, workers);
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

TEST(Gzip, IsTheSameHoweverManyThreadsMakeIt) {
  const std::string text = sample(5000000) + noise(1000000) + sample(400000);
  const std::string alone = gzipped(text, 100000);
  for (const unsigned int threads : {1U, 2U, 7U}) {
    Workers workers(threads);
    EXPECT_EQ(gzipped(text, 100000, &workers), alone) << threads;
  }
}

TEST(Gzip, StoresWhatDoesNotShrink) {
  const std::string bytes = noise(3000000);
  const std::string packed = gzipped(bytes, 65536);
  EXPECT_LT(packed.size(), bytes.size() + bytes.size() / 4000);
  EXPECT_EQ(decoded(packed), bytes);
  // A block that begins like that and goes on otherwise is compressed.
  const std::string mixed = noise(100000) + std::string(100000, 'x');
  EXPECT_LT(gzipped(mixed, 65536).size(), 110000U);
}

TEST(Gzip, IsReadByGzipItself) {
  const TempDir dir;
  const std::string text = sample(1000000) + noise(600000);
  write_all(dir / "a.gz", gzipped(text, 65536));
  ASSERT_EQ(std::system(("gzip -dc " + (dir / "a.gz").string() + " > " + (dir / "a").string()).c_str()), 0);
  EXPECT_EQ(read_all(dir / "a"), text);
}

TEST(Gzip, TellsOfASinkThatFails) {
  Workers workers(2);
  GzipWriter writer(
      [calls = 0](const char *, std::size_t) mutable {
        if (++calls == 3) throw sdk::Error(PIPE_E_IO, "the disk is full");
      },
      &workers);
  const std::string text = sample(300000);
  const sdk::Error error = error_of([&] {
    for (int i = 0; i < 50; ++i) writer.write(text.data(), text.size());
    writer.finish();
  });
  EXPECT_EQ(error.message, "the disk is full");
}

TEST(Gzip, CanBeGivenUp) {
  Workers workers(3);
  std::size_t written = 0;
  {
    GzipWriter writer([&](const char *, std::size_t size) { written += size; }, &workers);
    const std::string text = sample(3000000);
    writer.write(text.data(), text.size());
  }
  EXPECT_LT(written, 3000000U);
}

// If this changes, every layer that `build` makes or that is read from an engine gets another digest.
TEST(Gzip, HasTheBytesItAlwaysHad) {
  EXPECT_EQ(digest_of(gzipped(sample(1500000), 4096)).str(),
            "sha256:d1d42ca59e83d4b76d22ed5b75529bc12e1cb9162ed19d036aa89bffc0e8dca7");
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
