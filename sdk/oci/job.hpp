#pragma once
// Many blobs at once: threads, progress, and the first error that ends all. For .cpp files of this folder
// only.
#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace pipes::oci {

/// One transfer, or one image of several. An Observer for what works inside of it: its `cancelled` is true as
/// well once a part of it has failed.
class Job : public sdk::Observer {
 public:
  explicit Job(sdk::Observer &outer) : outer_(outer) {}
  /// A part of a whole that goes on where the part fails; what moves counts for both.
  explicit Job(Job *whole) : outer_(whole->outer_), whole_(whole) {}

  void log(sdk::Level level, std::string_view message) override { outer_.log(level, message); }
  void progress(const sdk::Progress &progress) override { outer_.progress(progress); }
  bool cancelled() const override { return failed_ || outer_.cancelled(); }
  int cancel_fd() const override { return outer_.cancel_fd(); }

  /// Calls `work(0)` … `work(count - 1)`, several at a time in threads. The first error ends the others
  /// and comes out of here.
  void parallel(std::size_t count, const std::function<void(std::size_t)> &work);

  /// Bytes moved in all.
  std::uint64_t moved() const { return moved_; }

 private:
  friend class BlobProgress;
  void count(std::int64_t expected, std::int64_t moved);

  sdk::Observer &outer_;
  Job *const whole_ = nullptr;
  std::atomic<bool> failed_ = false;
  std::atomic<std::uint64_t> next_id_ = 1, moved_ = 0, expected_ = 0;
  std::mutex mutex_;
  std::exception_ptr error_;
};

/// One blob of a job on its way.
class BlobProgress {
 public:
  BlobProgress(Job &, const Descriptor &blob);
  /// One whose digest is not known yet, or not the name that people know it by.
  BlobProgress(Job &, std::string label, std::uint64_t size);

  /// It goes on from there: back, where bytes have to move again; ahead of where it was, where they were
  /// there already.
  void go_on_at(std::uint64_t offset);
  void add(std::size_t bytes);
  /// False: it did not have to move.
  void end(bool moved);

 private:
  void report() const;

  Job &job_;
  const std::string label_;
  const std::uint64_t id_, size_;
  std::uint64_t at_ = 0;
};

}  // namespace pipes::oci
