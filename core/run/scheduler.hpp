#pragma once
// Decides which step runs when. Knows no process, no disk and no real time: those are its seams.
#include "core/plan/plan.hpp"
#include "core/plan/steps.hpp"
#include "core/run/attempt.hpp"
#include "core/run/memory.hpp"
#include "core/run/resumption.hpp"
#include "core/run/retry.hpp"
#include "core/run/run_events.hpp"
#include "core/run/step_runner.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pipes {

struct RunOptions {
  Operation operation = Operation::run;  // undo: `pipe down`
  int jobs = 4;
  bool undo_data = false;                // undo may take data away, too
  bool dry_run = false;                  // undo: only say what it would take back, as steps remember
  std::string id;                        // ${run.id}
  Value::Map about = {};                 // what run_started tells beside its own members
  Chosen chosen = {};                    // the nodes that are to run; empty: all
  std::vector<NodeResult> earlier = {};  // of those that are not
  Resumption *resumption = nullptr;      // the run that this one goes on with
  Grace grace;
  std::function<double()> random = [] { return 0.5; };  // [0, 1), for jitter
};

struct RunOutcome {
  Counts counts;
  std::string status;  // "ok", "failed" or "cancelled"
  int interrupt = 0;   // the first signal, if there was one
  Value::Map outputs;  // [outputs] of the pipeline
};

/// Runs a plan once.
class Scheduler {
 public:
  Scheduler(const Plan &, StepRunner &, const Clock &, EventSink &, Memory &, RunOptions);
  /// Runs, plans or undoes every step of the plan. Throws only if the runner itself cannot go on.
  RunOutcome run();

 private:
  using State = NodeResult::State;
  struct Waiting {
    TimePoint until;
    std::uint32_t node;
    int attempt;  // the next one's number
    bool operator>(const Waiting &other) const { return until > other.until; }
  };

  // Phases.
  void run_graph(std::uint32_t first, std::uint32_t last);
  void undo(const std::vector<std::uint32_t> &nodes);
  /// Whether its `if` is known to be false.
  bool is_ruled_out(std::uint32_t node) const;
  std::pair<State, std::string> ending_without_undo(std::uint32_t node, Plan::Params &) const;
  void foresee_undo(const std::vector<std::uint32_t> &nodes);
  std::vector<std::uint32_t> newest_first(std::uint32_t end) const;
  std::vector<std::uint32_t> to_roll_back() const;

  // The graph.
  void start_ready();
  bool may_start(std::uint32_t node) const;
  void begin(std::uint32_t node);
  void launch(std::uint32_t node, int attempt, Operation, Plan::Params);
  bool is_chosen(std::uint32_t node) const { return options_.chosen.empty() || options_.chosen[node]; }
  /// Whether what an earlier run made of the node stands; if not, `whys_` has the reason.
  bool keep(std::uint32_t node, const Plan::Params &);
  void settle(std::uint32_t node, State);
  std::optional<std::uint32_t> still_to_run(std::uint32_t node) const;
  void end_without_run(std::uint32_t node, State, std::string summary, std::optional<Failure>);

  // The steps that run: supervision.cpp.
  void wait_once();
  void hear(const Happening &);
  void finish(std::uint32_t node, const ExitReport &);
  void retry_later(std::uint32_t node, const Attempt &, Ending);
  void interrupt(int signal);
  void stop(std::uint32_t node, Attempt &, Stop why);
  void escalate();
  void drop_waiting();
  std::optional<TimePoint> next_deadline() const;

  bool stopping() const { return failed_ || interrupts_ > 0; }
  RunFacts facts() const;

  const Plan &plan_;
  StepRunner &runner_;
  const Clock &clock_;
  EventSink &sink_;
  Memory &memory_;
  RunOptions options_;
  RunEvents events_;

  std::vector<NodeResult> results_;
  std::vector<std::optional<std::uint32_t>> to_run_;  // plan: what would change, it or a step before it
  std::vector<std::vector<std::uint32_t>> dependents_;
  std::vector<std::uint32_t> blockers_;  // how many needs of each node have not ended
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ready_;  // in file order
  std::map<std::string, std::queue<std::uint32_t>> pool_queues_;
  std::map<std::string, int> pool_use_;
  std::unordered_map<std::uint32_t, Attempt> running_;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;  // for their next attempt
  std::map<std::uint32_t, Ending> last_tries_;           // of those that wait: how the last attempt ended
  std::unordered_map<std::uint32_t, std::string> whys_;  // of nodes that run again after an earlier run
  std::vector<std::uint32_t> finished_;                  // steps that were started, in the order they ended
  bool failed_ = false, in_finally_ = false;
  int interrupts_ = 0, first_interrupt_ = 0;
};

}  // namespace pipes
