#pragma once
// Many blobs at once: threads, progress, and the first error that ends all. For .cpp files of this folder
// only.
#include <pipe/error.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace pipes::oci {

/// One transfer. An Observer for what works inside of it: its `cancelled` is true as well once a part of
/// it has failed.
class Job : public sdk::Observer {
 public:
  explicit Job(sdk::Observer &outer) : outer_(outer) {}

  void log(sdk::Level level, std::string_view message) override { outer_.log(level, message); }
  void progress(const sdk::Progress &progress) override { outer_.progress(progress); }
  bool cancelled() const override { return failed_ || outer_.cancelled(); }
  int cancel_fd() const override { return outer_.cancel_fd(); }

  /// Calls `work(0)` … `work(count - 1)`, several at a time in threads. The first error ends the others
  /// and comes out of here.
  void parallel(std::size_t count, const std::function<void(std::size_t)> &work);

  /// So many more bytes are to be moved (or, wrapped around, fewer).
  void expect(std::uint64_t bytes);
  /// Starts the progress of one part (a blob); gives its id.
  std::uint64_t begin(std::string_view label, std::uint64_t size, std::uint64_t done = 0);
  /// `bytes` of it have moved, `done` of `size` are there. Any thread.
  void advance(std::uint64_t id, std::string_view label, std::uint64_t bytes, std::uint64_t done,
               std::uint64_t size);
  /// `bytes` have to be moved again.
  void rewind(std::uint64_t bytes) { moved_ -= bytes; }
  /// Bytes moved in all.
  std::uint64_t moved() const { return moved_; }

 private:
  sdk::Observer &outer_;
  std::atomic<bool> failed_ = false;
  std::atomic<std::uint64_t> next_id_ = 1, moved_ = 0, expected_ = 0;
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace pipes::oci
