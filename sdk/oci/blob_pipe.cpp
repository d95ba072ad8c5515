#include "blob_pipe.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLargestRing = 512u << 10, kSmallestRing = 128u << 10;
constexpr std::size_t kHeldBack = 64u << 10;
constexpr auto kLook = 200ms;  // how often one who waits looks whether all is cancelled

/// An eighth of what goes through it, so that many small blobs at once take no more than few large ones.
std::size_t ring_size(std::uint64_t bytes) {
  return static_cast<std::size_t>(
      std::clamp<std::uint64_t>(bytes, 1, std::clamp<std::uint64_t>(bytes / 8, kSmallestRing, kLargestRing)));
}

}  // namespace

BlobPipe::BlobPipe(const Descriptor &blob, std::uint64_t offset, Fetch fetch, const sdk::Observer &observer)
    : blob_(blob),
      offset_(offset),
      fetch_(std::move(fetch)),
      observer_(observer),
      ring_size_(ring_size(blob.size - offset)),
      ring_(std::make_unique_for_overwrite<char[]>(ring_size_)),
      thread_([this] { this->fetch(); }) {}

BlobPipe::~BlobPipe() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BlobPipe::fetch() {
  std::exception_ptr error;
  try {
    Hasher hasher(blob_.digest.algorithm());
    fetch_(
        [&](const char *data, std::size_t size) {
          if (offset_ == 0) hasher.update(data, size);
          take(data, size);
        },
        [this] {
          const std::lock_guard lock(mutex_);
          return stopped_;
        });
    if (offset_ == 0)
      if (const Digest digest = hasher.finish(); digest != blob_.digest)
        throw sdk::Error(PIPE_E_MISMATCH,
                         fmt::format("the blob {} came with other content than its digest says: {}",
                                     blob_.digest.str(), digest.str()),
                         "the registry's storage is damaged, or a proxy changes what it sends; nothing of "
                         "it was given on");
  } catch (...) {
    error = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    error_ = error;
    ended_ = true;
  }
  changed_.notify_all();
}

void BlobPipe::take(const char *data, std::size_t size) {
  while (size > 0) {
    std::size_t room = 0, at = 0;
    {
      std::unique_lock lock(mutex_);
      while (room = ring_size_ - static_cast<std::size_t>(in_ - out_), room == 0 && !stopped_)
        changed_.wait(lock);
      if (stopped_) throw sdk::Error(PIPE_E_CANCELLED, "nobody wants the blob any more");
      at = static_cast<std::size_t>(in_ % ring_size_);
    }
    // Outside of the lock: the reader does not touch what is free.
    const std::size_t count = std::min({size, room, ring_size_ - at});
    std::memcpy(ring_.get() + at, data, count);
    {
      const std::lock_guard lock(mutex_);
      in_ += count;
    }
    changed_.notify_all();
    data += count;
    size -= count;
  }
}

std::size_t BlobPipe::readable() const {
  const auto held = static_cast<std::size_t>(in_ - out_);
  if (ended_) return held;
  // What may be the blob's last bytes has to wait.
  const std::uint64_t last = blob_.size - offset_ - std::min<std::uint64_t>(blob_.size - offset_, kHeldBack);
  return out_ >= last ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(held, last - out_));
}

std::size_t BlobPipe::read(char *data, std::size_t size) {
  std::size_t ready = 0, at = 0;
  {
    std::unique_lock lock(mutex_);
    while (!error_ && (ready = readable()) == 0 && !ended_) {
      changed_.wait_for(lock, kLook);
      observer_.check_cancelled();
    }
    if (error_) std::rethrow_exception(error_);
    if (ready == 0) return 0;
    at = static_cast<std::size_t>(out_ % ring_size_);
  }
  const std::size_t count = std::min({size, ready, ring_size_ - at});
  std::memcpy(data, ring_.get() + at, count);
  {
    const std::lock_guard lock(mutex_);
    out_ += count;
  }
  changed_.notify_all();
  return count;
}

}  // namespace pipes::oci
