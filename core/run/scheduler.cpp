#include "core/run/scheduler.hpp"

#include "core/base/error.hpp"
#include "core/base/words.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace pipes {
namespace {

/// "`a`, `b`"
std::string quoted(const std::vector<std::string> &names) {
  return "`" + joined(names, "`, `") + "`";
}

/// "a, b, c and 4 more"
std::string some_of(std::vector<std::string> names) {
  constexpr std::size_t kNamed = 3;
  const std::size_t more = names.size() - std::min(kNamed, names.size());
  names.resize(names.size() - more);
  return joined(names) + (more > 0 ? fmt::format(" and {} more", more) : "");
}

}  // namespace

Scheduler::Scheduler(const Plan &plan, StepRunner &runner, const Clock &clock, EventSink &sink,
                     Memory &memory, RunOptions options)
    : plan_(plan),
      runner_(runner),
      clock_(clock),
      sink_(sink),
      memory_(memory),
      options_(std::move(options)),
      events_(plan, clock, sink, options_.operation),
      results_(plan.nodes.size()),
      to_run_(plan.nodes.size()),
      dependents_(plan.nodes.size()),
      blockers_(plan.nodes.size()) {
  for (std::uint32_t i = 0; i < plan_.nodes.size(); ++i) {
    for (const std::uint32_t need : plan_.nodes[i].needs) dependents_[need].push_back(i);
  }
}

RunOutcome Scheduler::run() {
  const auto all = static_cast<std::uint32_t>(plan_.nodes.size());
  const auto at = std::ranges::find_if(plan_.nodes, [](const Node &n) { return n.finally; });
  const auto main = static_cast<std::uint32_t>(at - plan_.nodes.begin());
  events_.run_started(options_.about, options_.chosen);
  switch (options_.operation) {
    case Operation::plan:
      run_graph(0, main);
      break;
    case Operation::run:
      if (!options_.earlier.empty()) results_ = std::move(options_.earlier);
      run_graph(0, main);
      if (stopping()) undo(to_roll_back());
      in_finally_ = true;
      run_graph(main, all);
      break;
    case Operation::undo: {
      for (std::uint32_t node = 0; node < main; ++node) {
        results_[node].outputs = memory_.outputs(plan_.nodes[node].id);
        results_[node].state = results_[node].outputs.empty() ? State::unknown : State::unchanged;
      }
      options_.dry_run ? foresee_undo(newest_first(main)) : undo(newest_first(main));
      break;
    }
  }
  RunOutcome outcome{events_.counts(), facts().status, first_interrupt_, {}};
  if (options_.operation == Operation::run && outcome.status == "ok") {
    outcome.outputs = plan_.outputs(results_, facts());
  }
  events_.run_ended(outcome.status, outcome.outputs);
  return outcome;
}

void Scheduler::run_graph(std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t node = first; node < last; ++node) {
    const auto &needs = plan_.nodes[node].needs;
    // What `finally` needs of the steps before has ended, one way or another.
    blockers_[node] = static_cast<std::uint32_t>(
        std::ranges::count_if(needs, [&](std::uint32_t need) { return need >= first; }));
    if (blockers_[node] == 0) ready_.push(node);
  }
  while (interrupts_ < 3) {
    start_ready();
    if (running_.empty() && waiting_.empty()) break;
    wait_once();
  }
  for (std::uint32_t node = first; node < last; ++node) {
    if (results_[node].state != State::pending) continue;
    results_[node].state = State::cancelled;
    if (!plan_.nodes[node].barrier) events_.not_run();
  }
  ready_ = {};
  pool_queues_.clear();
}

std::vector<std::uint32_t> Scheduler::to_roll_back() const {
  std::vector<std::uint32_t> nodes;
  for (auto at = finished_.rbegin(); at != finished_.rend(); ++at) {
    // A step that failed half-way may have made something, too; its memory tells `undo` what.
    if (plan_.nodes[*at].rollback && results_[*at].state != State::unchanged) nodes.push_back(*at);
  }
  return nodes;
}

/// The steps before `end`, each before those that it needs; of those that need nothing of each other, the
/// last one of the file first.
std::vector<std::uint32_t> Scheduler::newest_first(std::uint32_t end) const {
  std::vector<std::size_t> missing(end);
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ready;
  for (std::uint32_t node = 0; node < end; ++node) {
    missing[node] = plan_.nodes[node].needs.size();
    if (missing[node] == 0) ready.push(node);
  }
  std::vector<std::uint32_t> order;
  while (!ready.empty()) {
    const std::uint32_t node = ready.top();
    ready.pop();
    if (!plan_.nodes[node].barrier) order.push_back(node);
    for (const std::uint32_t dependent : dependents_[node]) {
      if (dependent < end && --missing[dependent] == 0) ready.push(dependent);
    }
  }
  std::ranges::reverse(order);
  return order;
}

void Scheduler::foresee_undo(const std::vector<std::uint32_t> &nodes) {
  for (const std::uint32_t node : nodes) {
    Attempt attempt{.operation = Operation::plan, .started = clock_.now()};
    Plan::Params params;
    if (const auto [state, why] = ending_without_undo(node, params); state != State::pending) {
      events_.step_ended(node, attempt, {state, {}, {}}, why);
      continue;
    }
    // Its undo is told what was made with any settings, and only it knows what of that its parameters mean.
    const Value::Map all = memory_.remembered(plan_.nodes[node].id);
    const Value::Map made = memory_.made(plan_.nodes[node].id);
    std::vector<std::string> goes, may_go, stays;
    for (const auto &[key, value] : all) {
      const bool is_data = key.starts_with(kDataNote);
      const bool is_made = std::ranges::find(made, key, &Value::Map::value_type::first) != made.end();
      if (is_data && !options_.undo_data && !is_made) continue;
      std::vector<std::string> &list = is_data && !options_.undo_data ? stays : is_made ? goes : may_go;
      list.push_back(is_data ? key.substr(kDataNote.size()) : key);
    }
    attempt.verdict = !goes.empty()     ? Verdict::remove
                      : !may_go.empty() ? Verdict::unknown
                                        : Verdict::up_to_date;
    std::vector<std::string> says;
    if (!goes.empty()) says.push_back(joined(goes));
    if (!may_go.empty())
      says.push_back("made with other settings, and goes if these name it, too: " + some_of(may_go));
    if (says.empty()) says.emplace_back("nothing that it made");
    if (!stays.empty()) says.push_back("stays, as it is data: " + joined(stays));
    const State state = attempt.verdict == Verdict::up_to_date ? State::unchanged : State::unknown;
    events_.step_ended(node, attempt, {state, {}, {}}, joined(says, "; "));
  }
}

/// How a step ends whose undo is not run, and why; pending: it is run with `params`.
std::pair<NodeResult::State, std::string> Scheduler::ending_without_undo(std::uint32_t node,
                                                                         Plan::Params &params) const {
  if (!plan_.nodes[node].schema->has_undo) return {State::unchanged, "nothing to undo"};
  // Parameters that its `if` guards need not make sense where that is false.
  if (options_.operation == Operation::undo && memory_.made(plan_.nodes[node].id).empty() &&
      is_ruled_out(node)) {
    return {State::skipped, "its `if` is false"};
  }
  params = plan_.params(node, results_, facts());
  // What it would be undone with came from steps that have not run, so neither has this one.
  if (!params.unknown.empty() || !params.problems.empty()) return {State::skipped, "it has not run"};
  return {State::pending, {}};
}

bool Scheduler::is_ruled_out(std::uint32_t node) const {
  try {
    return plan_.condition(node, results_, facts()) == false;
  } catch (const Error &) {
    return false;  // nobody knows, so its undo is asked
  }
}

void Scheduler::undo(const std::vector<std::uint32_t> &nodes) {
  for (const std::uint32_t node : nodes) {
    if (interrupts_ > 1 || (options_.operation == Operation::undo && interrupts_ > 0)) return;
    Plan::Params params;
    if (const auto [state, why] = ending_without_undo(node, params); state != State::pending) {
      events_.step_ended(node, Attempt{.operation = Operation::undo, .started = clock_.now()},
                         {state, {}, {}}, why);
      continue;
    }
    launch(node, 1, Operation::undo, std::move(params));
    while (!running_.empty() && interrupts_ < 3) wait_once();
  }
}

bool Scheduler::may_start(std::uint32_t node) const {
  if (in_finally_) return interrupts_ < 3;
  // A plan that failed for one step still says something of the others.
  if (options_.operation == Operation::plan) return interrupts_ == 0;
  return plan_.nodes[node].barrier || !stopping();
}

void Scheduler::start_ready() {
  const auto jobs = static_cast<std::size_t>(std::max(options_.jobs, 1));
  while (running_.size() < jobs && !waiting_.empty() && waiting_.top().until <= clock_.now()) {
    const Waiting next = waiting_.top();
    waiting_.pop();
    last_tries_.erase(next.node);
    launch(next.node, next.attempt, options_.operation, plan_.params(next.node, results_, facts()));
  }
  while (running_.size() < jobs && !ready_.empty() && may_start(ready_.top())) {
    const std::uint32_t node = ready_.top();
    ready_.pop();
    begin(node);
  }
}

void Scheduler::begin(std::uint32_t node) {
  const Node &what = plan_.nodes[node];
  if (what.barrier) return settle(node, State::unchanged);
  const auto pool = plan_.pools.find(what.pool);
  if (pool != plan_.pools.end()) {
    if (pool_use_[what.pool] >= pool->second) {
      pool_queues_[what.pool].push(node);
      return;
    }
    ++pool_use_[what.pool];
  }
  if (!is_chosen(node)) return settle(node, results_[node].state);  // which is there already
  std::optional<bool> condition;
  try {
    condition = plan_.condition(node, results_, facts());
  } catch (const Error &error) {
    return end_without_run(node, State::failed, {},
                           Failure{Status::invalid, error.message, error.hint, {}, {}});
  }
  if (condition == false) return end_without_run(node, State::skipped, "its `if` is false", std::nullopt);
  if (!condition && options_.operation == Operation::run) {
    return end_without_run(
        node, State::failed, {},
        Failure{Status::invalid, "its `if` depends on an output that was not given", {}, {}, {}});
  }
  if (!condition) {
    return end_without_run(node, State::unknown, "its `if` depends on steps that have not run", std::nullopt);
  }
  Plan::Params params = plan_.params(node, results_, facts());
  if (!params.problems.empty()) {
    const Diagnostic &first = params.problems.front();
    return end_without_run(node, State::failed, {},
                           Failure{Status::invalid, first.message, first.help, {}, {}});
  }
  if (!params.unknown.empty() && options_.operation == Operation::run) {
    return end_without_run(
        node, State::failed, {},
        Failure{Status::invalid,
                fmt::format("{} depends on an output that its step did not give", quoted(params.unknown)),
                {},
                {},
                {}});
  }
  if (options_.operation == Operation::plan && !what.schema->has_plan) {
    return end_without_run(node, State::unknown, fmt::format("`{}` cannot tell before it runs", what.uses),
                           std::nullopt);
  }
  // [[finally]] is part of every run.
  if (options_.resumption != nullptr && !what.finally && keep(node, params)) return;
  launch(node, 1, options_.operation, std::move(params));
}

bool Scheduler::keep(std::uint32_t node, const Plan::Params &params) {
  auto [kept, why] = options_.resumption->judge(node, params.values, results_);
  if (kept == nullptr) {
    whys_[node] = std::move(why);
    return false;
  }
  Attempt attempt{.operation = Operation::run, .started = clock_.now()};
  attempt.params = kept->params;
  attempt.outputs = kept->outputs;
  attempt.why = std::move(why);
  attempt.kept = options_.resumption->run();
  events_.step_ended(node, attempt, {State::unchanged, {}, {}}, kept->summary);
  results_[node].outputs = kept->outputs;
  settle(node, kept->state);  // to those that ask whether it changed something, it did
  return true;
}

void Scheduler::launch(std::uint32_t node, int number, Operation operation, Plan::Params params) {
  const Node &what = plan_.nodes[node];
  Attempt &attempt = running_[node];
  attempt = Attempt{.operation = operation, .number = number, .started = clock_.now()};
  if (what.timeout) attempt.next_step = attempt.started + *what.timeout;
  attempt.params = shown_params(what.schema, params.values);
  if (const auto why = whys_.find(node); why != whys_.end()) attempt.why = why->second;
  sink_.on(events_.of_step(Event::Type::step_started, node, attempt));
  runner_.start(node, {.operation = operation,
                       .id = what.id,
                       .uses = what.uses,
                       .plugin = what.plugin.string(),
                       .params = std::move(params.values),
                       .unknown = std::move(params.unknown),
                       .remembered = memory_.remembered(what.id),
                       .undo_data = options_.undo_data});
}

/// A node has ended for good: what waited for it may go on.
void Scheduler::settle(std::uint32_t node, State state) {
  if (state == State::failed) failed_ = true;
  // To those that follow in a plan, what it would give is as unknown as before.
  results_[node].state =
      state == State::failed && options_.operation == Operation::plan ? State::unknown : state;
  if (options_.operation == Operation::plan) {
    to_run_[node] = results_[node].state == State::unknown ? node : still_to_run(node);
  }
  const std::string &pool = plan_.nodes[node].pool;
  if (plan_.pools.contains(pool)) {
    --pool_use_[pool];
    if (std::queue<std::uint32_t> &queue = pool_queues_[pool]; !queue.empty()) {
      ready_.push(queue.front());
      queue.pop();
    }
  }
  for (const std::uint32_t next : dependents_[node]) {
    // A finally step's count is made when its phase begins; until then it is 0.
    if (blockers_[next] > 0 && --blockers_[next] == 0) ready_.push(next);
  }
}

/// Of the steps that a step comes after, one that has something to do yet, if there is one.
std::optional<std::uint32_t> Scheduler::still_to_run(std::uint32_t node) const {
  for (const std::uint32_t need : plan_.nodes[node].needs) {
    if (to_run_[need]) return to_run_[need];
  }
  return std::nullopt;
}

void Scheduler::end_without_run(std::uint32_t node, State state, std::string summary,
                                std::optional<Failure> failure) {
  events_.step_ended(node, Attempt{.operation = options_.operation, .started = clock_.now()},
                     {state, std::move(failure), {}}, std::move(summary));
  settle(node, state);
}

RunFacts Scheduler::facts() const {
  return {options_.id,
          interrupts_ > 0 ? "cancelled"
          : failed_       ? "failed"
                          : "ok",
          options_.operation == Operation::plan};
}

}  // namespace pipes
