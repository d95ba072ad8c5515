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

/// Runs each step in a process of its own: one thread, one poll.
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
    std::string id, uses;
    UniqueFd messages, output, cancel;
    Outbox outbox;
    MessageAssembler assembler;
    std::string problem;
  };
  void poll(std::optional<TimePoint> until, std::vector<Happening> &);
  void read_signals(std::vector<Happening> &);
  /// Whether there may be more to read.
  bool read_messages(std::uint32_t node, Child &, std::vector<Happening> &);
  void read_output(std::uint32_t node, Child &, std::vector<Happening> &);
  void reap(std::vector<Happening> &);
  void obey(Child &, const RememberReport &);

  Zygote &zygote_;
  Memory &memory_;
  UniqueFd signals_;
  sigset_t before_{};
  std::map<std::uint32_t, Child> children_;
  std::vector<Happening> failed_starts_;
  std::string buffer_;
};

}  // namespace pipes
