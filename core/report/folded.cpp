#include "core/report/folded.hpp"

#include "core/report/github.hpp"

#include <fmt/core.h>

namespace pipes {
namespace {

using Time = std::chrono::system_clock::time_point;

std::int64_t seconds(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// Many of them may stand in one log, also of several runs.
std::string section_name(Time time) {
  static int count = 0;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return fmt::format("pipe_{}_{}", ms, ++count);
}

}  // namespace

std::string GithubFolds::begin(std::string_view title, Time) {
  return workflow_command("group", {}, title);
}

std::string GithubFolds::end(Time) {
  return workflow_command("endgroup", {}, "");
}

std::string GitlabFolds::begin(std::string_view title, Time time) {
  name_ = section_name(time);
  return fmt::format("\x1b[0Ksection_start:{}:{}[collapsed=true]\r\x1b[0K{}\n", seconds(time), name_, title);
}

std::string GitlabFolds::end(Time time) {
  return fmt::format("\x1b[0Ksection_end:{}:{}\r\x1b[0K\n", seconds(time), name_);
}

void FoldedPrinter::on(const Event &e) {
  said_.text.clear();
  plain_.on(e);
  switch (e.type) {
    case Event::Type::step_started:
    case Event::Type::log:
    case Event::Type::output:
    case Event::Type::progress:
    case Event::Type::step_retried:
      if (!said_.text.empty()) add(e, said_.text);
      return;
    case Event::Type::step_ended:
      close(e.time);
      if (shown_ == e.step) {
        shown_.clear();
        was_open_ = false;
      }
      write_held(e.step, e.time);
      text_.write(said_.text);
      // Whose output waits is next.
      if (shown_.empty() && !held_.empty()) {
        const std::string next = held_.begin()->first;
        shown_ = next;
        write_held(next, e.time);
        was_open_ = true;
      }
      return;
    default:
      if (said_.text.empty()) return;
      close(e.time);
      text_.write(said_.text);
  }
}

void FoldedPrinter::add(const Event &e, const std::string &text) {
  if (shown_.empty()) shown_ = e.step;
  if (shown_ != e.step) {
    Held &held = held_[e.step];
    held.text += text;
    // Not at each line more.
    if (held.text.size() > 2 * kHeld) {
      const std::size_t cut = held.text.find('\n', held.text.size() - kHeld) + 1;
      held.text.erase(0, cut);
      held.dropped += cut;
    }
    return;
  }
  if (!is_open_) {
    out_.write(marks_.begin(printable(e.step) + (was_open_ ? " …" : ""), e.time));
    is_open_ = was_open_ = true;
  }
  text_.write(text);
}

void FoldedPrinter::write_held(const std::string &step, Time now) {
  const auto at = held_.find(step);
  if (at == held_.end()) return;
  out_.write(marks_.begin(printable(step), now));
  if (at->second.dropped > 0)
    text_.write(fmt::format("{} before this: `pipe log` has it\n", bytes_text(at->second.dropped)));
  text_.write(at->second.text);
  out_.write(marks_.end(now));
  held_.erase(at);
}

void FoldedPrinter::close(Time now) {
  if (!is_open_) return;
  out_.write(marks_.end(now));
  is_open_ = false;
}

}  // namespace pipes
