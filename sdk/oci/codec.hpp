#pragma once
// gzip and zstd streams. For .cpp files of this folder only.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pipes::oci {

using ByteSink = std::function<void(const char *data, std::size_t size)>;

enum class Compression { none, gzip, zstd, other };  // other: known, but not read here (xz, bzip2, lz4)

/// From the first bytes of a stream (6 are enough); `none` where they say nothing.
Compression detect_compression(std::string_view start);

/// Writes gzip: one member, no name, no time, always the same parameters and the same block size, so that
/// the same input gives the same bytes however it came in pieces.
class GzipWriter {
 public:
  explicit GzipWriter(ByteSink sink);
  ~GzipWriter();
  GzipWriter(const GzipWriter &) = delete;
  GzipWriter &operator=(const GzipWriter &) = delete;
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
