#include "core/report/plain.hpp"

#include <fmt/core.h>

namespace pipes {
namespace {

constexpr std::chrono::seconds kSoonest{5};  // the next line of a tenth more
constexpr std::chrono::seconds kLatest{10};  // of anything more
constexpr std::chrono::seconds kHeld{5};     // lines that wait for another step to end
constexpr std::size_t kHeldBytes = 64U << 10;

}  // namespace

void PlainPrinter::on(const Event &e) {
  release(e.time);
  switch (e.type) {
    case Event::Type::run_started:
      id_width_ = id_width(e);
      return;
    case Event::Type::step_started: {
      Step &begun = steps_[e.step];
      begun.began = begun.told = e.time;
      begun.done = 0;
      begun.movement = {};
      if (detail_ != Detail::verbose) return;
      const std::string which = e.attempts > 1 ? fmt::format(" (try {} of {})", e.attempt, e.attempts) : "";
      return say(e, fmt::format("{} `{}`{}", operation_name(e.operation), e.uses, which));
    }
    case Event::Type::log:
      if (e.level >= 3 || detail_ == Detail::verbose || (e.level == 2 && detail_ == Detail::normal))
        say(e, log_text(e, detail_));
      return;
    case Event::Type::output:
      if (detail_ != Detail::quiet) say(e, e.message);
      return;
    case Event::Type::progress:
      if (detail_ != Detail::quiet) progress(e);
      return;
    case Event::Type::step_retried:
      if (detail_ != Detail::quiet) say(e, retry_text(e));
      return;
    case Event::Type::step_ended:
      return end_step(e);
    case Event::Type::run_ended:
      if (!failures_.empty()) out_.write(failures_);
      return out_.write(recap(e) + "\n");
    case Event::Type::notice:
      return out_.write(notice_text(e, color_));
  }
}

PlainPrinter::Step &PlainPrinter::step(const Event &e) {
  return steps_.try_emplace(e.step, Step{.began = e.time, .told = e.time}).first->second;
}

/// In the order in which they were said, but for other steps': those wait until it is their turn.
void PlainPrinter::say(const Event &e, std::string_view text) {
  Step &speaker = step(e);
  std::optional<std::chrono::milliseconds> at;
  if (detail_ == Detail::verbose)
    at = std::chrono::duration_cast<std::chrono::milliseconds>(e.time - speaker.began);
  if (speaker.held.empty()) speaker.held_since = e.time;
  speaker.held += said(e.step, text, at, order_ == Order::as_said ? Color::off : color_);
  if (focus_.empty()) focus_ = e.step;
  const bool is_urgent = e.type == Event::Type::log && e.level >= 3;
  if (order_ == Order::as_said || focus_ == e.step || is_urgent || speaker.held.size() > kHeldBytes)
    out_.write(std::exchange(speaker.held, {}));
}

void PlainPrinter::end_step(const Event &e) {
  if (detail_ == Detail::verbose && !e.why.empty()) say(e, "why: " + e.why);
  std::string text = std::exchange(step(e).held, {});
  steps_.erase(e.step);
  if (e.failure && e.state == NodeResult::State::failed)
    failures_ += failure_block(
        e, detail_ == Detail::quiet || order_ == Order::as_said ? Told::nothing : Told::events, color_);
  if (detail_ != Detail::quiet) text += step_line(e, id_width_, color_);
  if (!text.empty()) out_.write(text);
  if (focus_ != e.step) return;
  const std::string *next = longest_held();
  focus_ = next == nullptr ? std::string() : *next;
  if (next != nullptr) out_.write(std::exchange(steps_.at(focus_).held, {}));
}

const std::string *PlainPrinter::longest_held() const {
  const std::string *longest = nullptr;
  Time since = Time::max();
  for (const auto &[id, step] : steps_) {
    if (step.held.empty() || step.held_since >= since) continue;
    longest = &id;
    since = step.held_since;
  }
  return longest;
}

/// What has waited for long is said, and whoever said it streams from now on.
void PlainPrinter::release(Time now) {
  for (const std::string *id = longest_held(); id != nullptr; id = longest_held()) {
    Step &held = steps_.at(*id);
    if (now - held.held_since < kHeld) return;
    out_.write(std::exchange(held.held, {}));
    focus_ = *id;
  }
}

std::optional<std::chrono::steady_clock::time_point> PlainPrinter::next_tick() const {
  const std::string *id = longest_held();
  if (id == nullptr) return std::nullopt;
  const auto left = steps_.at(*id).held_since + kHeld - std::chrono::system_clock::now();
  return std::chrono::steady_clock::now() + left;
}

void PlainPrinter::tick() {
  release(std::chrono::system_clock::now());
}

/// The step as a whole, every few seconds and only when there is news: a log that is read later needs no
/// more.
void PlainPrinter::progress(const Event &e) {
  Step &told = step(e);
  told.movement.on(e.progress,
                   std::chrono::duration_cast<std::chrono::milliseconds>(e.time.time_since_epoch()));
  const Moving &whole = told.movement.whole();
  const auto silence = e.time - told.told;
  const bool much = whole.done >= told.done + whole.total / 10;
  if (whole.done == told.done || silence < kSoonest || (silence < kLatest && !much)) return;
  told.told = e.time;
  told.done = whole.done;
  say(e, movement_text(whole));
}

void PlanPrinter::on(const Event &e) {
  switch (e.type) {
    case Event::Type::run_started:
      id_width_ = id_width(e);
      if (e.operation != Operation::plan) return;
      for (const Value &step : e.steps) {
        if (const Value *id = step.find("id")) order_.push_back(to_text(*id));
      }
      return;
    case Event::Type::log:
      if (e.level >= 3 || detail_ == Detail::verbose)
        messages_.write(said(e.step, log_text(e, detail_), std::nullopt, Color::off));
      return;
    case Event::Type::output:
      if (detail_ == Detail::verbose) messages_.write(said(e.step, e.message, std::nullopt, Color::off));
      return;
    case Event::Type::step_ended:
      return end_step(e);
    case Event::Type::run_ended:
      for (; next_ < order_.size(); ++next_) out_.write(finished_[order_[next_]]);
      return out_.write(plan_recap(e.counts));
    case Event::Type::notice:
      return messages_.write(notice_text(e, color_));
    default:
      return;
  }
}

void PlanPrinter::end_step(const Event &e) {
  std::string text = plan_lines(e, id_width_, color_, detail_);
  if (order_.empty()) return out_.write(text);
  finished_.emplace(e.step, std::move(text));
  for (; next_ < order_.size(); ++next_) {
    const auto found = finished_.find(order_[next_]);
    if (found == finished_.end()) return;
    out_.write(found->second);
    finished_.erase(found);
  }
}

}  // namespace pipes
