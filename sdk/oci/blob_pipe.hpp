#pragma once
// A blob on its way from one registry to another. For .cpp files of this folder only.
#include <pipe/http/client.hpp>
#include <pipe/oci/manifest.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace pipes::oci {

/// A thread fetches, whoever sends reads; between them a ring that holds back the one that is faster. The
/// end of the blob stays in it until the whole has proved right: a target never sees a complete body that
/// is wrong.
class BlobPipe {
 public:
  /// Gives the blob from the offset that the pipe was made for, in pieces, and returns after the last; gives
  /// up once `stop` says so. Throws what it likes: `read` throws it on.
  using Fetch = std::function<void(const http::Sink &, const std::function<bool()> &stop)>;

  /// Begins to fetch. From an `offset` on there is no whole to be checked: the target does that.
  BlobPipe(const Descriptor &, std::uint64_t offset, Fetch, const sdk::Observer &);
  ~BlobPipe();
  BlobPipe(const BlobPipe &) = delete;
  BlobPipe &operator=(const BlobPipe &) = delete;

  /// The next bytes, at least one; 0 at the end.
  std::size_t read(char *data, std::size_t size);

 private:
  void fetch();
  void take(const char *data, std::size_t size);
  std::size_t readable() const;

  const Descriptor blob_;
  const std::uint64_t offset_;
  const Fetch fetch_;
  const sdk::Observer &observer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::size_t ring_size_;
  const std::unique_ptr<char[]> ring_;
  std::uint64_t in_ = 0, out_ = 0;  // bytes since the offset
  bool ended_ = false, stopped_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pipes::oci
