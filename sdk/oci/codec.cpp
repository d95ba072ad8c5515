#include "codec.hpp"

#include <fmt/core.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <pipe/error.hpp>

namespace pipes::oci {
namespace {

constexpr std::size_t kOutput = 256u << 10;

/// A small file that unpacks to a full disk (CVE-2017-14992) is no image. Images of mostly zeros exist,
/// so small ones may grow as they like.
constexpr std::uint64_t kFreeGrowth = 1u << 30;
constexpr std::uint64_t kMaxRatio = 200;

class Growth {
 public:
  explicit Growth(std::string what) : what_(std::move(what)) {}
  const std::string &what() const { return what_; }
  void in(std::size_t bytes) { in_ += bytes; }
  void out(std::size_t bytes) {
    out_ += bytes;
    if (out_ > kFreeGrowth && out_ / kMaxRatio > in_)
      throw sdk::Error(PIPE_E_INVALID,
                       fmt::format("{} unpacks to more than {} times its size", what_, kMaxRatio));
  }
  [[noreturn]] void damaged() const {
    throw sdk::Error(PIPE_E_MISMATCH, what_ + " is damaged: it does not unpack");
  }
  [[noreturn]] void cut_off() const {
    throw sdk::Error(PIPE_E_MISMATCH, what_ + " is cut off: its end is missing");
  }

 private:
  std::string what_;
  std::uint64_t in_ = 0, out_ = 0;
};

class Plain : public Decoder {
 public:
  explicit Plain(ByteSink sink) : sink_(std::move(sink)) {}
  void write(const char *data, std::size_t size) override { sink_(data, size); }
  void finish() override {}

 private:
  ByteSink sink_;
};

/// gzip, of several members too: some tools write one for each file.
class Gunzip : public Decoder {
 public:
  Gunzip(ByteSink sink, std::string what)
      : sink_(std::move(sink)), growth_(std::move(what)), output_(kOutput, '\0') {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;
  }

  void write(const char *data, std::size_t size) override {
    growth_.in(size);
    std::string input(data, size);  // the library's pointers are not const
    state_.next_in = reinterpret_cast<std::uint8_t *>(input.data());
    state_.avail_in = static_cast<std::uint32_t>(size);
    do {
      if (whole_ && !begin_member()) return;
      state_.next_out = reinterpret_cast<std::uint8_t *>(output_.data());
      state_.avail_out = static_cast<std::uint32_t>(output_.size());
      if (isal_inflate(&state_) != ISAL_DECOMP_OK) growth_.damaged();
      const std::size_t made = output_.size() - state_.avail_out;
      growth_.out(made);
      if (made > 0) sink_(output_.data(), made);
      whole_ = state_.block_state == ISAL_BLOCK_FINISH;
    } while (state_.avail_in > 0 || (state_.avail_out == 0 && !whole_));
  }

  void finish() override {
    if (!whole_) growth_.cut_off();
  }

 private:
  /// False: nothing but padding is left of the input.
  bool begin_member() {
    if (started_) {
      while (state_.avail_in > 0 && *state_.next_in == 0) ++state_.next_in, --state_.avail_in;
      if (state_.avail_in == 0) return false;
      std::uint8_t *const next = state_.next_in;
      const std::uint32_t left = state_.avail_in;
      isal_inflate_reset(&state_);
      state_.crc_flag = ISAL_GZIP;
      state_.next_in = next;
      state_.avail_in = left;
    }
    started_ = true;
    return true;
  }

  ByteSink sink_;
  Growth growth_;
  std::string output_;
  inflate_state state_{};
  bool whole_ = true, started_ = false;
};

class Unzstd : public Decoder {
 public:
  Unzstd(ByteSink sink, std::string what)
      : sink_(std::move(sink)), growth_(std::move(what)), output_(ZSTD_DStreamOutSize(), '\0') {}

  void write(const char *data, std::size_t size) override {
    growth_.in(size);
    ZSTD_inBuffer input{data, size, 0};
    bool full = false;
    while (input.pos < input.size || full) {
      ZSTD_outBuffer output{output_.data(), output_.size(), 0};
      const std::size_t left = ZSTD_decompressStream(context_.get(), &output, &input);
      if (ZSTD_isError(left)) growth_.damaged();
      growth_.out(output.pos);
      if (output.pos > 0) sink_(output_.data(), output.pos);
      full = output.pos == output.size;
      whole_ = left == 0;
    }
  }

  void finish() override {
    if (!whole_) growth_.cut_off();
  }

 private:
  ByteSink sink_;
  Growth growth_;
  std::string output_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_{ZSTD_createDCtx(), &ZSTD_freeDCtx};
  bool whole_ = false;
};

}  // namespace

Compression detect_compression(std::string_view start) {
  using namespace std::string_view_literals;
  if (start.starts_with("\x1f\x8b"sv)) return Compression::gzip;
  if (start.starts_with("\x28\xb5\x2f\xfd"sv)) return Compression::zstd;
  // zstd may begin with a frame to be skipped: zstd:chunked does
  if (start.size() >= 4 && (start[0] & 0xf0) == 0x50 && start.substr(1, 3) == "\x2a\x4d\x18"sv)
    return Compression::zstd;
  if (start.starts_with("\xfd"
                        "7zXZ"sv) ||
      start.starts_with("BZh"sv) || start.starts_with("\x04\x22\x4d\x18"sv))
    return Compression::other;
  return Compression::none;
}

std::unique_ptr<Decoder> make_decoder(Compression compression, ByteSink sink, std::string what) {
  switch (compression) {
    case Compression::none:
      return std::make_unique<Plain>(std::move(sink));
    case Compression::gzip:
      return std::make_unique<Gunzip>(std::move(sink), std::move(what));
    case Compression::zstd:
      return std::make_unique<Unzstd>(std::move(sink), std::move(what));
    case Compression::other:
      break;
  }
  throw sdk::Error(PIPE_E_INVALID, what + " is compressed in a way that is not read here",
                   "unpack it first, or compress it with gzip or zstd");
}

}  // namespace pipes::oci
