#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <pipe/error.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "codec.hpp"

namespace pipes::oci {
namespace {

/// What a block does not see of the ones before it costs 0.3 % of size.
constexpr std::size_t kBlock = 256u << 10;
/// The bytes of level 3 differ between processors (Nehalem, Haswell and one with AVX-512 give three results);
/// those of levels 1 and 2 do not.
constexpr std::uint32_t kLevel = 2;
constexpr std::size_t kSample = 4u << 10, kSamples = 4;
constexpr std::size_t kMaxStored = 65535;  // of one stored DEFLATE block

void append_little_endian(std::string &to, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xff);
}

/// One block of the input, and the DEFLATE blocks (RFC 1951) that it becomes, which end at a full byte.
class Block {
 public:
  Block() { input.reserve(kBlock); }

  std::string input, output;
  bool done = false;
  std::exception_ptr error;

  void compress() {
    try {
      if (!looks_random()) {
        deflate(input);
        if (output.size() < input.size()) return;
      }
      store();
    } catch (...) {
      error = std::current_exception();
    }
  }

 private:
  /// Files that are packed or encrypted need not be tried as a whole.
  bool looks_random() {
    if (input.size() < 2 * kSamples * kSample) return false;
    sample_.clear();
    for (std::size_t i = 0; i < kSamples; ++i)
      sample_.append(input, i * ((input.size() - kSample) / (kSamples - 1)), kSample);
    deflate(sample_);
    return output.size() >= sample_.size() - sample_.size() / 64;
  }

  void deflate(std::string &from) {  // the library's pointers are not const
    output.resize(from.size() + from.size() / 4 + 4096);
    isal_deflate_init(&stream_);
    stream_.level = kLevel;
    stream_.level_buf = reinterpret_cast<std::uint8_t *>(level_buffer_.data());
    stream_.level_buf_size = static_cast<std::uint32_t>(level_buffer_.size());
    stream_.flush = FULL_FLUSH;
    stream_.next_in = reinterpret_cast<std::uint8_t *>(from.data());
    stream_.avail_in = static_cast<std::uint32_t>(from.size());
    stream_.next_out = reinterpret_cast<std::uint8_t *>(output.data());
    stream_.avail_out = static_cast<std::uint32_t>(output.size());
    if (isal_deflate(&stream_) != COMP_OK || stream_.avail_in > 0 || stream_.avail_out == 0)
      throw sdk::Error(PIPE_E_INTERNAL, "ISA-L can't compress");
    output.resize(stream_.total_out);
  }

  void store() {
    output.clear();
    for (std::size_t at = 0; at < input.size(); at += kMaxStored) {
      const std::size_t size = std::min(kMaxStored, input.size() - at);
      output += '\0';  // not the last block, stored
      append_little_endian(output, size, 2);
      append_little_endian(output, ~size, 2);
      output.append(input, at, size);
    }
  }

  isal_zstream stream_{};
  std::string level_buffer_ = std::string(ISAL_DEF_LVL2_DEFAULT, '\0'), sample_;
};

}  // namespace

struct GzipWriter::State {
  State(ByteSink to, Workers *threads)
      : sink(std::move(to)), workers(threads), most(threads != nullptr ? threads->count() + 2 : 1) {}

  ~State() {
    std::unique_lock lock(mutex);
    dropped = true;
    change.wait(lock, [&] { return is_idle(); });
  }

  bool is_idle() const { return under_way.empty() && !draining; }

  void begin_block() {
    std::unique_lock lock(mutex);
    change.wait(lock, [&] { return under_way.size() < most || error; });
    if (error) std::rethrow_exception(error);
    if (spare.empty()) {
      block = std::make_unique<Block>();
      return;
    }
    block = std::move(spare.back());
    spare.pop_back();
    block->input.clear();
    block->done = false;
  }

  void end_block() {
    Block *const next = block.get();
    {
      const std::lock_guard lock(mutex);
      under_way.push_back(std::move(block));
    }
    if (workers == nullptr) return complete(*next);
    workers->run([this, next] { complete(*next); });
  }

  void complete(Block &next) {
    next.compress();
    std::unique_lock lock(mutex);
    next.done = true;
    if (draining) return;  // who does will see it
    draining = true;
    while (!under_way.empty() && under_way.front()->done) {
      // It counts as under way until it is written, so that a slow disk stops the input.
      Block &first = *under_way.front();
      if (!error) error = first.error;
      if (!error && !dropped) {
        lock.unlock();
        std::exception_ptr failed;
        try {
          sink(first.output.data(), first.output.size());
        } catch (...) {
          failed = std::current_exception();
        }
        lock.lock();
        error = failed;
      }
      spare.push_back(std::move(under_way.front()));
      under_way.pop_front();
      change.notify_all();
    }
    draining = false;
    change.notify_all();
  }

  void wait_for_all() {
    std::unique_lock lock(mutex);
    change.wait(lock, [&] { return is_idle(); });
    if (error) std::rethrow_exception(error);
  }

  ByteSink sink;
  Workers *workers;
  const std::size_t most;
  std::uint32_t crc = 0;
  std::uint64_t size = 0;
  std::unique_ptr<Block> block;  // being filled

  std::mutex mutex;  // of all that follows
  std::condition_variable change;
  std::deque<std::unique_ptr<Block>> under_way;  // in the input's order
  std::vector<std::unique_ptr<Block>> spare;
  std::exception_ptr error;
  bool draining = false, dropped = false;
};

GzipWriter::GzipWriter(ByteSink sink, Workers *workers)
    : state_(std::make_unique<State>(std::move(sink), workers)) {
  using namespace std::string_view_literals;
  constexpr std::string_view kHeader = "\x1f\x8b\x08\0\0\0\0\0\0\xff"sv;  // RFC 1952
  state_->sink(kHeader.data(), kHeader.size());
}
GzipWriter::~GzipWriter() = default;

void GzipWriter::write(const void *data, std::size_t size) {
  State &state = *state_;
  const char *next = static_cast<const char *>(data);
  while (size > 0) {
    if (!state.block) state.begin_block();
    std::string &input = state.block->input;
    const std::size_t count = std::min(size, kBlock - input.size());
    input.append(next, count);
    state.crc = crc32_gzip_refl(state.crc, reinterpret_cast<const unsigned char *>(next), count);
    state.size += count;
    next += count;
    size -= count;
    if (input.size() == kBlock) state.end_block();
  }
}

void GzipWriter::finish() {
  State &state = *state_;
  if (state.block) state.end_block();
  state.wait_for_all();
  std::string end("\x03\0", 2);  // the last block: empty
  append_little_endian(end, state.crc, 4);
  append_little_endian(end, state.size & 0xffffffff, 4);
  state.sink(end.data(), end.size());
}

}  // namespace pipes::oci
