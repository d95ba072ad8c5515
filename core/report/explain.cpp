#include "core/report/explain.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace pipes {
namespace {

using State = NodeResult::State;

constexpr std::size_t kShownNeeds = 4;

std::string member(const Value &step, std::string_view name) {
  const Value *found = step.find(name);
  return found == nullptr ? std::string() : to_text(*found);
}

std::string listed(const std::vector<std::string> &names) {
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kShownNeeds); ++i) {
    out += (out.empty() ? "" : ", ") + names[i];
  }
  if (names.size() > kShownNeeds) out += fmt::format(" and {} more", names.size() - kShownNeeds);
  return out;
}

}  // namespace

void ExplainPrinter::announce(const Event &e) {
  for (const Value &announced : e.steps) {
    Step step;
    step.id = member(announced, "id");
    step.group = member(announced, "step");
    step.is_finally = !member(announced, "finally").empty();
    if (const Value *needs = announced.find("needs")) {
      for (const Value &need : needs->as_list()) step.needs.push_back(to_text(need));
    }
    by_id_.emplace(step.id, steps_.size());
    if (!step.group.empty()) by_id_.emplace(step.group, steps_.size());
    steps_.push_back(std::move(step));
  }
}

void ExplainPrinter::on(const Event &e) {
  const auto at = by_id_.find(e.step);
  switch (e.type) {
    case Event::Type::run_started:
      return announce(e);
    case Event::Type::step_started:
      if (at != by_id_.end() && e.operation == Operation::run) steps_[at->second].began = true;
      return;
    case Event::Type::step_ended:
      if (at == by_id_.end() || e.operation != Operation::run) return;  // not what was rolled back
      steps_[at->second].ended = true;
      steps_[at->second].end = e;
      return;
    case Event::Type::run_ended:
      status_ = e.status;
      return finish();
    default:
      return;
  }
}

void ExplainPrinter::finish() {
  std::size_t columns = 0;
  for (const Step &step : steps_) columns = std::max(columns, std::min<std::size_t>(width(step.id), 40));
  std::string text = "why each step ran, or did not:\n";
  for (const Step &step : steps_) {
    text += fmt::format("  {}  {}\n", padded(printable(step.id), columns), printable(line(step)));
  }
  out_.write(text);
}

const ExplainPrinter::Step *ExplainPrinter::blocker(const Step &step) const {
  std::set<const Step *> seen{&step};
  std::vector<const Step *> open{&step};
  while (!open.empty()) {
    const Step *at = open.back();
    open.pop_back();
    for (const std::string &need : at->needs) {
      for (auto [found, end] = by_id_.equal_range(need); found != end; ++found) {
        const Step &before = steps_[found->second];
        if (before.ended && (before.end.state == State::failed || before.end.state == State::cancelled)) {
          return &before;
        }
        if (!before.ended && seen.insert(&before).second) open.push_back(&before);
      }
    }
  }
  return nullptr;
}

std::string ExplainPrinter::line(const Step &step) const {
  const Event &e = step.end;
  if (step.ended && !e.kept.empty()) return "kept: " + e.why;
  if (step.ended && !step.began)
    return fmt::format("{}: {}", state_name(e.state), e.failure ? e.failure->message : e.summary);
  if (step.began) {
    const std::string how = e.attempt > 1 ? fmt::format(" (attempt {})", e.attempt) : "";
    if (!e.why.empty()) return fmt::format("ran{}: {}", how, e.why);
    if (!step.ended) return "ran, and did not end";
    if (step.is_finally) return fmt::format("ran{}: [[finally]] runs however the steps before it ended", how);
    return step.needs.empty()
               ? fmt::format("ran{}: it waits for no other step", how)
               : fmt::format("ran{}: what it waits for had ended ({})", how, listed(step.needs));
  }
  if (const Step *before = blocker(step)) {
    return fmt::format("did not run: `{}` {}", before->id, state_word(before->end));
  }
  return status_ == "failed" ? "did not run: after a failure nothing more is started"
                             : "did not run: the run was cancelled before";
}

}  // namespace pipes
