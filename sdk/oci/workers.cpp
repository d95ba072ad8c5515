#include "workers.hpp"

#include <algorithm>
#include <utility>

namespace pipes::oci {

Workers::Workers() : Workers(std::clamp(std::thread::hardware_concurrency(), 1U, kMost)) {}

Workers::Workers(unsigned int count) : count_(count) {}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  change_.notify_all();
  threads_.clear();  // joins
}

void Workers::run(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  if (jobs_.size() > idle_ && threads_.size() < count_) threads_.emplace_back([this] { work(); });
  change_.notify_one();
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    change_.wait(lock, [&] { return ending_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace pipes::oci
