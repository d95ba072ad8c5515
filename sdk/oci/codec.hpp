#pragma once
// gzip and zstd streams. For .cpp files of this folder only.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "workers.hpp"

namespace pipes::oci {

using ByteSink = std::function<void(const char *data, std::size_t size)>;

enum class Compression { none, gzip, zstd, other };  // other: known, but not read here (xz, bzip2, lz4)

/// From the first bytes of a stream (6 are enough); `none` where they say nothing.
Compression detect_compression(std::string_view start);

/// Writes gzip: one member, no name, no time. The input is cut into blocks of one size that are compressed
/// each by itself, so that `workers`, if given, share even a single stream; what does not shrink is stored
/// after a look at a sample of it. The same input gives the same bytes, however it came in pieces, by how
/// many threads and on what processor: see docs/design/engine-transfer.md.
class GzipWriter {
 public:
  /// With workers, `sink` is called from their threads, in order and by one at a time. They have to outlive
  /// this.
  explicit GzipWriter(ByteSink sink, Workers *workers = nullptr);
  /// Waits for the blocks that are under way.
  ~GzipWriter();
  GzipWriter(const GzipWriter &) = delete;
  GzipWriter &operator=(const GzipWriter &) = delete;
  /// Waits where more than a few blocks are under way. Throws what `sink` threw.
  void write(const void *data, std::size_t size);
  /// Writes what is left and the trailer; call once.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Decompresses a stream that comes in pieces. Throws sdk::Error{PIPE_E_MISMATCH} when it is damaged or
/// cut off, PIPE_E_INVALID when it grows beyond all measure.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void write(const char *data, std::size_t size) = 0;
  /// Call at the end of the input: throws if the stream is not whole.
  virtual void finish() = 0;
};
/// `what` names the stream in errors. PIPE_E_INVALID for `other`.
std::unique_ptr<Decoder> make_decoder(Compression compression, ByteSink sink, std::string what);

}  // namespace pipes::oci
