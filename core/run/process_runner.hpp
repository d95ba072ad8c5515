#pragma once
#include "core/run/memory.hpp"
#include "core/run/packets.hpp"
#include "core/run/step_runner.hpp"
#include "core/run/zygote.hpp"

#include <csignal>
#include <map>
#include <string>
#include <vector>

namespace pipes {

/// Runs each step in a process of its own: one thread, one poll. A process more than there are steps is
/// always ready and waits for its order, so that a step does not wait for a fork.
class ProcessRunner final : public StepRunner {
 public:
  /// From here on SIGINT, SIGTERM and SIGHUP come as happenings of `wait`.
  ProcessRunner(Zygote &, Memory &);
  ~ProcessRunner() override;
  ProcessRunner(const ProcessRunner &) = delete;
  ProcessRunner &operator=(const ProcessRunner &) = delete;

  void start(std::uint32_t node, const StepOrder &) override;
  void ask_to_stop(std::uint32_t node) override;
  void signal(std::uint32_t node, int signal) override;
  std::vector<Happening> wait(std::optional<TimePoint> until) override;

 private:
  struct Child {
    std::uint32_t number = 0;  // what the zygote knows it by
    std::uint32_t node = 0;
    std::string id, uses;
    UniqueFd messages, output, cancel;
    Outbox outbox;
    MessageAssembler assembler;
    std::string problem;
  };
  /// Starts a process that waits for its order; nothing if that cannot be, with the reason in `problem`.
  std::optional<Child> spawn(std::string &problem);
  std::map<std::uint32_t, Child>::iterator find(std::uint32_t node);
  void poll(std::optional<TimePoint> until, std::vector<Happening> &);
  void read_signals(std::vector<Happening> &);
  /// Whether there may be more to read.
  bool read_messages(Child &, std::vector<Happening> &);
  void read_output(Child &, std::vector<Happening> &);
  void reap(std::vector<Happening> &);
  void obey(Child &, const RememberReport &);

  Zygote &zygote_;
  Memory &memory_;
  UniqueFd signals_;
  sigset_t before_{};
  std::uint32_t spawned_ = 0;
  std::map<std::uint32_t, Child> children_;  // by number
  std::optional<Child> spare_;
  std::vector<Happening> failed_starts_;
  std::string buffer_;
};

}  // namespace pipes
