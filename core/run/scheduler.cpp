#include "core/run/scheduler.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace pipes {
namespace {

Millis since(TimePoint from, TimePoint to) {
  return std::chrono::duration_cast<Millis>(to - from);
}

std::string join(const std::vector<std::string> &words) {
  std::string out;
  for (const std::string &word : words) out += (out.empty() ? "`" : ", `") + word + "`";
  return out;
}

/// What a step misses may be what an earlier one makes: an image, a registry that answers.
bool may_pass(Status status) {
  return status == Status::not_found || status == Status::transient || status == Status::timeout;
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
      results_(plan.nodes.size()),
      to_run_(plan.nodes.size()),
      dependents_(plan.nodes.size()),
      blockers_(plan.nodes.size()),
      started_(clock.now()) {
  for (std::uint32_t i = 0; i < plan_.nodes.size(); ++i) {
    for (const std::uint32_t need : plan_.nodes[i].needs) dependents_[need].push_back(i);
  }
}

RunOutcome Scheduler::run() {
  const auto all = static_cast<std::uint32_t>(plan_.nodes.size());
  const auto at = std::ranges::find_if(plan_.nodes, [](const Node &n) { return n.finally; });
  const auto main = static_cast<std::uint32_t>(at - plan_.nodes.begin());
  announce();
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
  RunOutcome outcome{counts_, facts().status, first_interrupt_, {}};
  if (options_.operation == Operation::run && outcome.status == "ok") {
    outcome.outputs = plan_.outputs(results_, facts());
  }
  Event end = event(Event::Type::run_ended);
  end.pipeline = plan_.name;
  end.status = outcome.status;
  end.counts = counts_;
  end.fields = outcome.outputs;
  end.elapsed = since(started_, clock_.now());
  sink_.on(end);
  return outcome;
}

// ---- phases

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
    if (!plan_.nodes[node].barrier) ++counts_.not_run;
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
    std::string goes, stays;
    for (const auto &[key, value] : memory_.made(plan_.nodes[node].id)) {
      const bool is_data = key.starts_with(kDataNote);
      std::string &list = is_data && !options_.undo_data ? stays : goes;
      list += (list.empty() ? "" : ", ") + (is_data ? key.substr(kDataNote.size()) : key);
    }
    attempt.verdict = goes.empty() ? Verdict::up_to_date : Verdict::remove;
    if (goes.empty()) goes = plan_.nodes[node].schema->has_undo ? "nothing that it made" : "nothing to undo";
    if (!stays.empty()) goes += "; stays, as it is data: " + stays;
    const State state = attempt.verdict == Verdict::remove ? State::unknown : State::unchanged;
    report_end(node, attempt, {state, {}, {}}, goes);
  }
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
    if (!plan_.nodes[node].schema->has_undo) {
      report_end(node, Attempt{.operation = Operation::undo, .started = clock_.now()},
                 {State::unchanged, {}, {}}, "nothing to undo");
      continue;
    }
    // Parameters that its `if` guards need not make sense where that is false.
    if (options_.operation == Operation::undo && memory_.made(plan_.nodes[node].id).empty() &&
        is_ruled_out(node)) {
      report_end(node, Attempt{.operation = Operation::undo, .started = clock_.now()},
                 {State::skipped, {}, {}}, "its `if` is false");
      continue;
    }
    Plan::Params params = plan_.params(node, results_, facts());
    if (!params.unknown.empty() || !params.problems.empty()) {
      // What it would be undone with came from steps that have not run, so neither has this one.
      report_end(node, Attempt{.operation = Operation::undo, .started = clock_.now()},
                 {State::skipped, {}, {}}, "it has not run");
      continue;
    }
    launch(node, 1, Operation::undo, std::move(params));
    while (!running_.empty() && interrupts_ < 3) wait_once();
  }
}

// ---- the graph

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
                fmt::format("{} depends on an output that its step did not give", join(params.unknown)),
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
  report_end(node, attempt, {State::unchanged, {}, {}}, kept->summary);
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
  sink_.on(event(Event::Type::step_started, node, &attempt));
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
  report_end(node, Attempt{.operation = options_.operation, .started = clock_.now()},
             {state, std::move(failure), {}}, std::move(summary));
  settle(node, state);
}

// ---- the loop

void Scheduler::wait_once() {
  std::optional<TimePoint> until = next_deadline();
  if (const auto tick = sink_.next_tick(); tick && (!until || *tick < *until)) until = tick;
  for (const Happening &happening : runner_.wait(until)) hear(happening);
  escalate();
  if (const auto tick = sink_.next_tick(); tick && *tick <= clock_.now()) sink_.tick();
}

void Scheduler::hear(const Happening &happening) {
  if (happening.node == Happening::kWholeRun) return interrupt(happening.interrupt);
  const auto at = running_.find(happening.node);
  if (at == running_.end()) return;
  Attempt &attempt = at->second;
  if (const auto *exit = std::get_if<ExitReport>(&happening.report)) return finish(happening.node, *exit);
  if (const auto *log = std::get_if<LogReport>(&happening.report)) {
    Event said = event(Event::Type::log, happening.node, &attempt);
    said.level = log->level;
    said.message = log->message;
    said.fields = log->fields;
    return sink_.on(said);
  }
  if (const auto *text = std::get_if<TextReport>(&happening.report)) {
    Event wrote = event(Event::Type::output, happening.node, &attempt);
    wrote.message = text->bytes;
    return sink_.on(wrote);
  }
  if (const auto *progress = std::get_if<ProgressReport>(&happening.report)) {
    Event moved = event(Event::Type::progress, happening.node, &attempt);
    moved.progress = *progress;
    return sink_.on(moved);
  }
  attempt.take(happening.report, plan_.nodes[happening.node].schema);
}

void Scheduler::finish(std::uint32_t node, const ExitReport &exit) {
  Attempt attempt = std::move(running_.at(node));
  running_.erase(node);
  const Node &what = plan_.nodes[node];
  Ending ending = conclude(attempt, exit, what);
  const bool again = ending.failure && worth_retrying(ending.failure->status) &&
                     attempt.operation == Operation::run && attempt.number < what.retry.attempts &&
                     (in_finally_ || !stopping());
  if (again) return retry_later(node, attempt, std::move(ending));
  if (attempt.operation == Operation::plan && ending.failure && may_pass(ending.failure->status)) {
    if (const auto before = still_to_run(node)) {
      attempt.verdict = Verdict::unknown;
      attempt.summary =
          fmt::format("known once `{}` has run: {}", plan_.nodes[*before].id, ending.failure->message);
      ending = {State::unknown, std::nullopt, {}};
    }
  }
  report_end(node, attempt, ending, attempt.summary);
  if (attempt.operation == Operation::undo) {
    if (ending.failure) failed_ = true;
    return;  // what it has taken back it has forgotten itself; data that stayed is for `--data`
  }
  if (attempt.operation == Operation::run) {
    finished_.push_back(node);
    if (!ending.failure && !attempt.outputs.empty()) memory_.keep_outputs(what.id, attempt.outputs);
  }
  results_[node].outputs = std::move(attempt.outputs);
  settle(node, ending.state);
}

void Scheduler::retry_later(std::uint32_t node, const Attempt &attempt, Ending ending) {
  const Millis delay =
      retry_delay(plan_.nodes[node].retry, attempt.number, ending.retry_after, options_.random());
  Event again = event(Event::Type::step_retried, node, &attempt);
  again.failure = ending.failure;
  again.elapsed = delay;
  sink_.on(again);
  ++counts_.retried;
  last_tries_.emplace(node, std::move(ending));
  waiting_.push({clock_.now() + delay, node, attempt.number + 1});
}

/// Nothing new starts any more: steps that wait for another attempt have failed with their last one.
void Scheduler::drop_waiting() {
  if (in_finally_ || !stopping()) return;
  while (!waiting_.empty()) {
    const std::uint32_t node = waiting_.top().node;
    waiting_.pop();
    const auto last = last_tries_.extract(node);
    finished_.push_back(node);
    end_without_run(node, interrupts_ > 0 ? State::cancelled : State::failed, {}, last.mapped().failure);
  }
}

void Scheduler::interrupt(int signal) {
  if (interrupts_++ == 0) first_interrupt_ = signal;
  // The first lets `finally` and rollback be: only a second one stops those.
  for (auto &[node, attempt] : running_) {
    if (interrupts_ == 1) {
      if (!in_finally_ && (attempt.operation != Operation::undo || options_.operation == Operation::undo)) {
        stop(node, attempt, Stop::cancel);
      }
    } else {
      attempt.stop = Stop::cancel;
      attempt.next_step.reset();
      attempt.signalled = SIGKILL;
      runner_.signal(node, SIGKILL);
    }
  }
}

void Scheduler::stop(std::uint32_t node, Attempt &attempt, Stop why) {
  if (attempt.stop != Stop::no) return;
  attempt.stop = why;
  attempt.next_step = clock_.now() + options_.grace.before_term;
  runner_.ask_to_stop(node);
}

/// Steps whose time is up, or who do not stop when asked to.
void Scheduler::escalate() {
  const TimePoint now = clock_.now();
  for (auto &[node, attempt] : running_) {
    if (!attempt.next_step || *attempt.next_step > now) continue;
    if (attempt.stop == Stop::no) {
      stop(node, attempt, Stop::timeout);
    } else if (attempt.signalled == 0) {
      attempt.signalled = SIGTERM;
      attempt.next_step = now + options_.grace.before_kill;
      runner_.signal(node, SIGTERM);
    } else {
      attempt.signalled = SIGKILL;
      attempt.next_step.reset();
      runner_.signal(node, SIGKILL);
    }
  }
  drop_waiting();
}

std::optional<TimePoint> Scheduler::next_deadline() const {
  std::optional<TimePoint> next;
  const auto earlier = [&next](TimePoint at) { next = next ? std::min(*next, at) : at; };
  for (const auto &[node, attempt] : running_) {
    if (attempt.next_step) earlier(*attempt.next_step);
  }
  // Nothing to wake up for while every place is taken.
  if (!waiting_.empty() && running_.size() < static_cast<std::size_t>(std::max(options_.jobs, 1))) {
    earlier(waiting_.top().until);
  }
  return next;
}

// ---- events

RunFacts Scheduler::facts() const {
  return {options_.id, interrupts_ > 0 ? "cancelled" : failed_ ? "failed" : "ok"};
}

Event Scheduler::event(Event::Type type) const {
  Event e;
  e.type = type;
  e.time = clock_.wall();
  e.operation = options_.operation;
  return e;
}

Event Scheduler::event(Event::Type type, std::uint32_t node, const Attempt *attempt) const {
  Event e = event(type);
  const Node &what = plan_.nodes[node];
  e.step = what.id;
  e.uses = what.uses;
  e.index = node;
  e.operation = attempt->operation;
  e.attempt = attempt->number;
  e.attempts = what.retry.attempts;
  e.elapsed = since(attempt->started, clock_.now());
  return e;
}

void Scheduler::report_end(std::uint32_t node, const Attempt &attempt, const Ending &ending,
                           std::string summary) {
  Event end = event(Event::Type::step_ended, node, &attempt);
  end.state = ending.state;
  end.verdict = attempt.verdict.value_or(Verdict::unknown);
  end.summary = std::move(summary);
  end.params = attempt.params;
  end.why = attempt.why;
  end.kept = attempt.kept;
  end.diffs = attempt.diffs;
  end.fields = attempt.outputs;
  end.failure = ending.failure;
  sink_.on(end);
  count(attempt, ending);
}

void Scheduler::announce() {
  Event start = event(Event::Type::run_started);
  start.pipeline = plan_.name;
  start.file = plan_.file;
  start.fields = options_.about;
  start.steps = described_steps(plan_, options_.chosen, options_.operation == Operation::run);
  sink_.on(start);
}

void Scheduler::count(const Attempt &attempt, const Ending &ending) {
  if (attempt.operation == Operation::undo && !ending.failure) {
    ++(ending.state == State::unchanged ? counts_.unchanged : counts_.undone);
    return;
  }
  switch (ending.state) {
    case State::changed:
      ++counts_.changed;
      return;
    case State::unchanged:
      ++counts_.unchanged;
      return;
    case State::skipped:
      ++counts_.skipped;
      return;
    case State::failed:
      ++counts_.failed;
      return;
    case State::cancelled:
      ++counts_.cancelled;
      return;
    case State::unknown:
      break;
    case State::pending:
      return;
  }
  switch (attempt.verdict.value_or(Verdict::unknown)) {
    case Verdict::create:
      ++counts_.create;
      return;
    case Verdict::change:
      ++counts_.change;
      return;
    case Verdict::replace:
      ++counts_.replace;
      return;
    case Verdict::remove:
      ++counts_.remove;
      return;
    case Verdict::up_to_date:
    case Verdict::unknown:
      ++counts_.unknown;
      return;
  }
}

}  // namespace pipes
