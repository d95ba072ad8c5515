#include "core/run/inline_runner.hpp"

#include "core/base/fd.hpp"
#include "core/run/host.hpp"

#include <sys/eventfd.h>

#include <mutex>
#include <thread>
#include <utility>

namespace pipes {
namespace {

/// Collects what an operation says.
class DirectLink final : public HostLink {
 public:
  DirectLink(std::uint32_t node, const std::string &id, Memory &memory, std::vector<Happening> &to)
      : node_(node), id_(id), memory_(memory), to_(to), cancel_(::eventfd(0, EFD_CLOEXEC)) {}

  void send(const StepReport &report) override {
    const std::lock_guard lock(mutex_);
    to_.push_back({node_, report, 0});
  }
  std::string remember(const RememberReport &report) override {
    return memory_.remember(id_, report.key, report.value);
  }
  int cancel_fd() const override { return cancel_.get(); }

 private:
  std::uint32_t node_;
  const std::string &id_;
  Memory &memory_;
  std::vector<Happening> &to_;
  std::mutex mutex_;
  UniqueFd cancel_;
};

}  // namespace

void InlineRunner::start(std::uint32_t node, const StepOrder &order) {
  DirectLink link(node, order.id, memory_, happened_);
  const Status status = run_operation(order, link);
  happened_.push_back({node, ExitReport{status == Status::ok ? 0 : 1, 0, {}}, 0});
}

std::vector<Happening> InlineRunner::wait(std::optional<TimePoint> until) {
  // With nothing to tell, what is waited for is the time: a retry.
  if (happened_.empty() && until) std::this_thread::sleep_until(*until);
  return std::exchange(happened_, {});
}

}  // namespace pipes
