#pragma once
#include "core/run/memory.hpp"
#include "core/run/packets.hpp"
#include "core/run/step_runner.hpp"
#include "core/run/zygote.hpp"

#include <csignal>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace pipes {

/// Runs each step in a process of its own: one thread, one poll. A plugin that is used again and again gets a
/// zygote that has it loaded. Of each zygote in use one process more than there are steps is ready and waits
/// for its order, so that a step does not wait for a fork.
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
  struct Nursery;
  struct Child {
    Nursery *from = nullptr;
    std::uint32_t number = 0;  // what its zygote knows it by
    std::uint32_t node = 0;
    std::string id, uses;
    UniqueFd messages, output, cancel;
    Outbox outbox;
    MessageAssembler assembler;
    std::string problem;
    bool done = false;  // it has said so, and ends
  };
  /// Where processes come from.
  struct Nursery {
    explicit Nursery(Zygote &from) : zygote(from) {}
    explicit Nursery(Zygote &&from) : owned(std::move(from)), zygote(*owned) {}
    std::optional<Zygote> owned = {};
    Zygote &zygote;
    std::optional<Child> spare = {};  // waits for its order
  };
  struct Use {
    int steps = 0;
    Nursery *nursery = nullptr;
  };
  /// Where the next step of a plugin comes from.
  Nursery &nursery_for(const std::string &plugin);
  /// Starts a process that waits for its order; nothing if that cannot be, with the reason in `problem`.
  std::optional<Child> spawn(Nursery &, std::string &problem);
  std::map<std::uint32_t, Child>::iterator find(std::uint32_t node);
  void poll(std::optional<TimePoint> until, std::vector<Happening> &);
  void read_signals(std::vector<Happening> &);
  /// Whether there may be more to read.
  bool read_messages(Child &, std::vector<Happening> &);
  void hear(Child &, StepReport, std::vector<Happening> &);
  void read_output(Child &, std::vector<Happening> &);
  void reap(Nursery &, std::vector<Happening> &);
  void end(Child &, const ZygoteReport &, std::vector<Happening> &);
  void obey(Child &, const RememberReport &);

  Memory &memory_;
  UniqueFd signals_;
  bool interrupted_ = false;
  sigset_t before_{};
  std::uint32_t spawned_ = 0;
  std::map<std::uint32_t, Child> children_;  // by number
  std::list<Nursery> nurseries_;             // the first: of no plugin; each stays where it is
  std::map<std::string, Use> plugins_;       // by path
  std::vector<Happening> failed_starts_;
  std::string buffer_;
};

}  // namespace pipes
