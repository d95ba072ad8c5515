#pragma once
// A run without processes, disk or real time.
#include "core/run/scheduler.hpp"

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pipes::test {

class FakeClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  std::chrono::system_clock::time_point wall() const override {
    return std::chrono::system_clock::time_point(now_.time_since_epoch());
  }
  void advance_to(TimePoint at) { now_ = std::max(now_, at); }
  void advance(Millis by) { now_ += by; }

 private:
  TimePoint now_{std::chrono::hours(1)};
};

/// What a step does once it has been started.
struct Script {
  std::vector<StepReport> says = {};
  Status status = Status::ok;
  Millis takes{10};
  bool stops_when_asked = true;
  int dies_of = 0;  // a signal, instead of an end
  bool immortal_until_kill = false;
};

class FakeRunner final : public StepRunner {
 public:
  explicit FakeRunner(FakeClock &clock) : clock_(clock) {}

  /// Scripts by node and attempt; the last one stands for all further attempts.
  std::map<std::uint32_t, std::vector<Script>> scripts;
  /// Signals for the run at points in time after its begin.
  std::vector<std::pair<Millis, int>> interrupts;
  /// What happened, in order: "start 0", "ask 0", "signal 0 15".
  std::vector<std::string> history;
  std::vector<StepOrder> orders;
  std::size_t most_at_once = 0;

  void start(std::uint32_t node, const StepOrder &order) override {
    const auto &all = scripts[node];
    const std::size_t attempt = tries_[node]++;
    const Script script = all.empty() ? Script{} : all[std::min(attempt, all.size() - 1)];
    history.push_back(std::string(order.operation == Operation::undo ? "undo " : "start ") + order.id);
    orders.push_back(order);
    running_[node] = {script, clock_.now() + script.takes};
    most_at_once = std::max(most_at_once, running_.size());
  }
  void ask_to_stop(std::uint32_t node) override {
    history.push_back("ask " + std::to_string(node));
    Running &step = running_.at(node);
    if (!step.script.stops_when_asked) return;
    step.script.status = Status::cancelled;
    step.ends = clock_.now();
  }
  void signal(std::uint32_t node, int number) override {
    history.push_back("signal " + std::to_string(node) + " " + std::to_string(number));
    Running &step = running_.at(node);
    if (number == SIGTERM && step.script.immortal_until_kill) return;
    step.script.dies_of = number;
    step.ends = clock_.now();
  }

  std::vector<Happening> wait(std::optional<TimePoint> until) override {
    if (!interrupts.empty() && begin_ + interrupts.front().first <= next_event(until)) {
      clock_.advance_to(begin_ + interrupts.front().first);
      const int number = interrupts.front().second;
      interrupts.erase(interrupts.begin());
      return {{Happening::kWholeRun, {}, number}};
    }
    const TimePoint at = next_event(until);
    clock_.advance_to(at);
    std::vector<Happening> happenings;
    for (auto step = running_.begin(); step != running_.end();) {
      if (step->second.ends > clock_.now()) {
        ++step;
        continue;
      }
      const Script &script = step->second.script;
      if (script.dies_of == 0) {
        for (const StepReport &report : script.says) happenings.push_back({step->first, report, 0});
        happenings.push_back({step->first, DoneReport{script.status}, 0});
      }
      happenings.push_back(
          {step->first, ExitReport{script.status == Status::ok ? 0 : 1, script.dies_of, {}}, 0});
      step = running_.erase(step);
    }
    return happenings;
  }

 private:
  struct Running {
    Script script;
    TimePoint ends;
  };
  TimePoint next_event(std::optional<TimePoint> until) const {
    TimePoint at = until.value_or(TimePoint::max());
    for (const auto &[node, step] : running_) at = std::min(at, step.ends);
    return at;
  }
  FakeClock &clock_;
  TimePoint begin_ = clock_.now();
  std::map<std::uint32_t, Running> running_;
  std::map<std::uint32_t, std::size_t> tries_;
};

class FakeMemory final : public Memory {
 public:
  std::map<std::string, Value::Map> kept_outputs;
  std::map<std::string, Value::Map> notes;
  Value::Map remembered(const std::string &step) const override {
    const auto at = notes.find(step);
    return at == notes.end() ? Value::Map() : at->second;
  }
  std::string remember(const std::string &step, const std::string &key, const Value &value) override {
    notes[step].emplace_back(key, value);
    return {};
  }
  Value::Map outputs(const std::string &step) const override {
    const auto at = kept_outputs.find(step);
    return at == kept_outputs.end() ? Value::Map() : at->second;
  }
  void keep_outputs(const std::string &step, const Value::Map &outputs) override {
    kept_outputs[step] = outputs;
  }
};

class Recorder final : public EventSink {
 public:
  std::vector<Event> events;
  void on(const Event &event) override { events.push_back(event); }
  /// The end of a step; fails the test's expectation by an empty id if there was none.
  Event end_of(const std::string &step) const {
    const auto at = std::find_if(events.rbegin(), events.rend(), [&](const Event &e) {
      return e.type == Event::Type::step_ended && e.step == step;
    });
    return at == events.rend() ? Event{} : *at;
  }
  int count(Event::Type type) const {
    return static_cast<int>(
        std::count_if(events.begin(), events.end(), [&](const Event &e) { return e.type == type; }));
  }
};

}  // namespace pipes::test
