#include "job.hpp"

#include <algorithm>
#include <thread>
#include <vector>

namespace pipes::oci {
namespace {
constexpr std::size_t kThreads = 6;  // as most tools use on one host
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

void Job::expect(std::uint64_t bytes) {
  expected_ += bytes;
  outer_.progress({.id = 0, .done = moved_, .total = expected_, .label = {}});
}

std::uint64_t Job::begin(std::string_view label, std::uint64_t size, std::uint64_t done) {
  const std::uint64_t id = next_id_++;
  outer_.progress({.id = id, .done = done, .total = size, .label = label});
  return id;
}

void Job::advance(std::uint64_t id, std::string_view label, std::uint64_t bytes, std::uint64_t done,
                  std::uint64_t size) {
  moved_ += bytes;
  outer_.progress({.id = id, .done = done, .total = size, .label = label});
  outer_.progress({.id = 0, .done = moved_, .total = expected_, .label = {}});
}

}  // namespace pipes::oci
