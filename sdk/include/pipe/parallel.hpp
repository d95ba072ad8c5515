#pragma once
// A bounded crew of threads for work that waits on the network.
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pipes::sdk {

/// Calls `work(0)` … `work(count - 1)`, at most `threads` at a time. The first exception stops the rest and
/// is thrown on.
inline void for_each_parallel(std::size_t count, std::size_t threads,
                              const std::function<void(std::size_t)> &work) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr first;
  const auto crew_member = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> crew;
    for (std::size_t i = 1; i < threads && i < count; ++i) crew.emplace_back(crew_member);
    crew_member();
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace pipes::sdk
