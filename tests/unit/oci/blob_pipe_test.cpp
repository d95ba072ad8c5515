#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "sdk/oci/blob_pipe.hpp"
#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;
using pipes::oci::testing::Quiet;

std::string content(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

Descriptor descriptor(const std::string &bytes) {
  return {.media_type = "x", .digest = digest_of(bytes), .size = bytes.size()};
}

BlobPipe::Fetch give(const std::string &bytes, std::size_t piece) {
  return [&bytes, piece](const http::Sink &sink, const std::function<bool()> &) {
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      sink(bytes.data() + at, std::min(piece, bytes.size() - at));
  };
}

std::string drain(BlobPipe &pipe, std::size_t piece) {
  std::string all, buffer(piece, '\0');
  for (std::size_t count; (count = pipe.read(buffer.data(), buffer.size())) > 0;)
    all.append(buffer, 0, count);
  return all;
}

class BlobPipeTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  Quiet observer_;
};

TEST_P(BlobPipeTest, GivesWhatItIsGiven) {
  const std::string bytes = content(GetParam());
  for (const std::size_t piece : {std::size_t{4096}, std::size_t{300'007}}) {
    BlobPipe pipe(descriptor(bytes), 0, give(bytes, piece), observer_);
    EXPECT_EQ(drain(pipe, 70'001), bytes);
  }
}

TEST_P(BlobPipeTest, HoldsTheEndBackFromWhatIsWrong) {
  const std::string bytes = content(GetParam());
  if (bytes.empty()) return;
  std::string wrong = bytes;
  wrong[wrong.size() / 2] ^= 1;
  BlobPipe pipe(descriptor(bytes), 0, give(wrong, 100'000), observer_);
  std::size_t count = 0;
  std::string buffer(50'000, '\0');
  try {
    for (std::size_t n; (n = pipe.read(buffer.data(), buffer.size())) > 0;) count += n;
    FAIL() << "a wrong blob came to its end";
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_MISMATCH);
  }
  EXPECT_LT(count, bytes.size());
}

INSTANTIATE_TEST_SUITE_P(Sizes, BlobPipeTest,
                         ::testing::Values(0, 1, 65'536, 65'537, 1 << 20, (1 << 20) + 1, 5'000'000),
                         ::testing::PrintToStringParamName());

TEST_F(BlobPipeTest, PassesOnWhatWentWrongAtTheSource) {
  const std::string bytes = content(2'000'000);
  BlobPipe pipe(
      descriptor(bytes), 0,
      [&](const http::Sink &sink, const std::function<bool()> &) {
        sink(bytes.data(), 1000);
        throw sdk::Error(PIPE_E_NOT_FOUND, "gone");
      },
      observer_);
  EXPECT_THROW(drain(pipe, 100), sdk::Error);
}

TEST_F(BlobPipeTest, EndsTheFetchWhenNobodyReadsAnyMore) {
  const std::string bytes = content(8'000'000);
  std::atomic<bool> ended = false;
  {
    BlobPipe pipe(
        descriptor(bytes), 0,
        [&](const http::Sink &sink, const std::function<bool()> &stop) {
          try {
            give(bytes, 100'000)(sink, stop);
          } catch (...) {
            ended = stop();
            throw;
          }
        },
        observer_);
    char byte = 0;
    EXPECT_EQ(pipe.read(&byte, 1), 1u);
  }
  EXPECT_TRUE(ended);
}

TEST_F(BlobPipeTest, EndsWaitingOnceCancelled) {
  const std::string bytes = content(2'000'000);
  BlobPipe pipe(
      descriptor(bytes), 0,
      [](const http::Sink &, const std::function<bool()> &stop) {
        while (!stop()) std::this_thread::sleep_for(5ms);
      },
      observer_);
  observer_.stop();
  char byte = 0;
  EXPECT_THROW(pipe.read(&byte, 1), sdk::Error);
}

TEST_F(BlobPipeTest, GoesOnFromAnOffset) {
  const std::string bytes = content(3'000'000), rest = bytes.substr(1'234'567);
  BlobPipe pipe(descriptor(bytes), 1'234'567, give(rest, 65'536), observer_);
  EXPECT_EQ(drain(pipe, 100'000), rest);
}

}  // namespace
}  // namespace pipes::oci
