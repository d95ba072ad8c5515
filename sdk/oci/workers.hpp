#pragma once
// Threads for what costs CPU. For .cpp files of this folder only.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pipes::oci {

/// Does jobs in threads, begun in the order in which they came. Who gives the jobs bounds their number. Any
/// thread may give some.
class Workers {
 public:
  /// One thread a core, at most `kMost`; none is started before there is a job for it.
  Workers();
  explicit Workers(unsigned int count);
  /// Returns when all jobs are done.
  ~Workers();
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;

  unsigned int count() const { return count_; }
  /// `job` must not throw.
  void run(std::function<void()> job);

 private:
  static constexpr unsigned int kMost = 16;

  void work();

  const unsigned int count_;
  std::mutex mutex_;
  std::condition_variable change_;
  std::deque<std::function<void()>> jobs_;
  unsigned int idle_ = 0;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace pipes::oci
