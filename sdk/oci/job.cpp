#include "job.hpp"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

namespace pipes::oci {
namespace {
constexpr std::size_t kThreads = 16;  // the pace of each host has the last word
}

void Job::parallel(std::size_t count, const std::function<void(std::size_t)> &work) {
  std::atomic<std::size_t> next = 0;
  const auto worker = [&] {
    for (std::size_t i; !cancelled() && (i = next++) < count;) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        failed_ = true;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(count, kThreads); ++i) threads.emplace_back(worker);
    worker();
  }
  if (error_) std::rethrow_exception(error_);
  check_cancelled();
}

void Job::count(std::int64_t expected, std::int64_t moved) {
  expected_ += static_cast<std::uint64_t>(expected);
  moved_ += static_cast<std::uint64_t>(moved);
  if (whole_ != nullptr) return whole_->count(expected, moved);
  outer_.progress({.id = 0, .done = moved_, .total = expected_, .label = {}});
}

BlobProgress::BlobProgress(Job &job, const Descriptor &blob)
    : BlobProgress(job, blob.digest.brief(), blob.size) {}

BlobProgress::BlobProgress(Job &job, std::string label, std::uint64_t size)
    : job_(job),
      label_(std::move(label)),
      id_((job.whole_ == nullptr ? job : *job.whole_).next_id_++),
      size_(size) {
  job_.count(static_cast<std::int64_t>(size_), 0);
  report();
}

void BlobProgress::go_on_at(std::uint64_t offset) {
  if (offset > at_)
    job_.count(static_cast<std::int64_t>(at_) - static_cast<std::int64_t>(offset), 0);
  else if (offset < at_)
    job_.count(0, static_cast<std::int64_t>(offset) - static_cast<std::int64_t>(at_));
  at_ = offset;
}

void BlobProgress::add(std::size_t bytes) {
  at_ += bytes;
  job_.count(0, static_cast<std::int64_t>(bytes));
  report();
}

void BlobProgress::end(bool moved) {
  if (moved) return;
  job_.count(-static_cast<std::int64_t>(size_), 0);
  at_ = size_;
  report();
}

void BlobProgress::report() const {
  job_.progress({.id = id_, .done = at_, .total = size_, .label = label_});
}

}  // namespace pipes::oci
