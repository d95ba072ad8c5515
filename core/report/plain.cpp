#include "core/report/plain.hpp"

#include <fmt/core.h>

namespace pipes {
namespace {

constexpr std::chrono::seconds kSoonest{5};  // the next line of a tenth more
constexpr std::chrono::seconds kLatest{10};  // of anything more

std::string prefixed(const std::string &step, std::string_view text) {
  const std::string prefix = printable(step) + " | ";
  std::string out;
  const std::string clean = printable(text);
  std::string_view rest = clean;
  do {
    const std::string_view line = first_line(rest);
    out.append(prefix).append(line).append("\n");
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  } while (!rest.empty());
  return out;
}

std::string retry_line(const Event &e) {
  return prefixed(e.step, fmt::format("try {} of {} in {}: {}", e.attempt + 1, e.attempts,
                                      elapsed_text(e.elapsed), e.failure ? e.failure->message : ""));
}

std::string notice_line(const Event &e, Color color) {
  const bool bad = e.level >= 4;
  std::string out =
      fmt::format("{} {}\n", paint(bad ? "error:" : "warning:", bad ? Tone::bad : Tone::changed, color),
                  printable(e.message));
  if (!e.hint.empty()) out += "  hint: " + printable(e.hint) + "\n";
  return out;
}

}  // namespace

void PlainPrinter::on(const Event &e) {
  switch (e.type) {
    case Event::Type::run_started:
      id_width_ = id_width(e);
      return;
    case Event::Type::step_started:
      progress_[e.step] = {.at = e.time};
      return;
    case Event::Type::log:
      if (e.level < 2) return;
      return out_.write(prefixed(e.step, e.level == 2   ? e.message
                                         : e.level == 3 ? "warning: " + e.message
                                                        : "error: " + e.message));
    case Event::Type::output:
      return out_.write(prefixed(e.step, e.message));
    case Event::Type::progress:
      return progress(e);
    case Event::Type::step_retried:
      return out_.write(retry_line(e));
    case Event::Type::step_ended:
      progress_.erase(e.step);
      if (e.failure && e.state == NodeResult::State::failed)
        failures_ += failure_block(e, told_, color_);
      return out_.write(step_line(e, id_width_, color_));
    case Event::Type::run_ended:
      if (!failures_.empty()) out_.write(failures_);
      return out_.write(recap(e) + "\n");
    case Event::Type::notice:
      return out_.write(notice_line(e, color_));
  }
}

/// The step as a whole, every few seconds and only when there is news: a log that is read later needs no
/// more.
void PlainPrinter::progress(const Event &e) {
  Progress &told = progress_[e.step];
  told.movement.on(e.progress,
                   std::chrono::duration_cast<std::chrono::milliseconds>(e.time.time_since_epoch()));
  const Moving &whole = told.movement.whole();
  const auto silence = e.time - told.at;
  const bool much = whole.done >= told.done + whole.total / 10;
  if (whole.done == told.done || silence < kSoonest || (silence < kLatest && !much)) return;
  told.at = e.time;
  told.done = whole.done;
  out_.write(prefixed(e.step, movement_text(whole)));
}

void PlanPrinter::on(const Event &e) {
  switch (e.type) {
    case Event::Type::run_started:
      id_width_ = id_width(e);
      return;
    case Event::Type::log:
      if (e.level >= 3) messages_.write(prefixed(e.step, "warning: " + e.message));
      return;
    case Event::Type::step_ended:
      return out_.write(plan_lines(e, id_width_, color_));
    case Event::Type::run_ended:
      return out_.write(plan_recap(e.counts));
    case Event::Type::notice:
      return messages_.write(notice_line(e, color_));
    default:
      return;
  }
}

}  // namespace pipes
