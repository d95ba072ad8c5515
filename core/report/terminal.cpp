#include "core/report/terminal.hpp"

#include <fmt/core.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstdlib>

namespace pipes {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::size_t kPendingLimit = 64U << 10;
constexpr std::size_t kBars = 6;  // of one step

std::chrono::milliseconds since(std::chrono::steady_clock::time_point from,
                                std::chrono::steady_clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to - from);
}

}  // namespace

TerminalSize terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

Glyphs terminal_glyphs() {
  for (const char *name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char *value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    const bool utf8 =
        locale.find("UTF-8") != std::string_view::npos || locale.find("utf8") != std::string_view::npos;
    return utf8 ? Glyphs::blocks : Glyphs::ascii;
  }
  return Glyphs::ascii;
}

TerminalPrinter::TerminalPrinter(TextOut &out, Color color, Size size, Now now, Glyphs glyphs)
    : out_(out), color_(color), size_(std::move(size)), now_(std::move(now)), glyphs_(glyphs) {}

void TerminalPrinter::on(const Event &e) {
  switch (e.type) {
    case Event::Type::run_started:
      pipeline_ = printable(e.pipeline);
      id_width_ = id_width(e);
      steps_ = e.steps.size();
      started_ = last_draw_ = now_();
      over_ = false;
      break;
    case Event::Type::step_started: {
      Live &live = live_[e.step];
      live = {};
      live.index = e.index;
      live.since = now_();
      live.attempt = e.attempt;
      live.attempts = e.attempts;
      break;
    }
    case Event::Type::log:
      if (e.level >= 3) {
        pending_ += fmt::format(
            "  {} {}: {}\n",
            paint(e.level == 3 ? "warning:" : "error:", e.level == 3 ? Tone::changed : Tone::bad, color_),
            printable(e.step), printable(e.message));
      } else if (e.level == 2) {
        live_[e.step].says = std::string(first_line(printable(e.message)));
      }
      break;
    case Event::Type::output: {
      const std::string text = printable(e.message);
      live_[e.step].says = text.substr(text.rfind('\n') + 1);
      break;
    }
    case Event::Type::progress:
      live_[e.step].movement.on(e.progress, since({}, now_()));
      break;
    case Event::Type::step_retried: {
      Live &live = live_[e.step];
      live.movement = {};
      live.says = fmt::format("try {} of {} in {}: {}", e.attempt + 1, e.attempts, elapsed_text(e.elapsed),
                              first_line(printable(e.failure ? e.failure->message : "")));
      break;
    }
    case Event::Type::step_ended:
      end_step(e);
      break;
    case Event::Type::run_ended:
      end_run(e);
      break;
    case Event::Type::notice:
      pending_ += fmt::format("{} {}\n", paint("warning:", Tone::changed, color_), printable(e.message));
      if (!e.hint.empty()) pending_ += "  hint: " + printable(e.hint) + "\n";
      break;
  }
  if (pending_.size() > kPendingLimit || (over_ && !pending_.empty())) tick();
}

void TerminalPrinter::end_step(const Event &e) {
  live_.erase(e.step);
  ++ended_;
  pending_ += step_line(e, id_width_, color_);
  for (const Diff &diff : e.diffs) {
    pending_ += fmt::format("              {}  {} -> {}\n", printable(diff.field),
                            first_line(printable(diff.before)), first_line(printable(diff.after)));
  }
  if (e.failure && e.state == NodeResult::State::failed) failures_ += failure_block(e, Told::nothing, color_);
}

void TerminalPrinter::end_run(const Event &e) {
  live_.clear();
  over_ = true;
  pending_ += failures_;
  const Tone tone = e.status != "ok" ? Tone::bad : e.counts.changed > 0 ? Tone::changed : Tone::good;
  pending_ += paint(recap(e), tone, color_) + "\n";
}

std::optional<std::chrono::steady_clock::time_point> TerminalPrinter::next_tick() const {
  if (over_) return std::nullopt;
  return last_draw_ + kRedraw;
}

void TerminalPrinter::tick() {
  last_draw_ = now_();
  const TerminalSize size = size_();
  std::string frame;
  // Back to the first line of what was drawn, and everything from there on away.
  if (!drawn_.empty()) frame = fmt::format("\x1b[{}A\r\x1b[J", rows_drawn(size.columns));
  frame += std::exchange(pending_, {});
  drawn_.clear();
  if (!over_) {
    for (const std::string &line : live_lines(size)) {
      frame += line + "\n";
      drawn_.push_back(width(printable(line)));
    }
  }
  if (!frame.empty()) out_.write(frame);
}

/// A terminal that has become narrower has wrapped the lines that stood there.
std::size_t TerminalPrinter::rows_drawn(std::size_t columns) const {
  std::size_t rows = 0;
  for (const std::size_t width : drawn_) rows += std::max<std::size_t>(1, (width + columns - 1) / columns);
  return rows;
}

std::vector<std::string> TerminalPrinter::live_lines(const TerminalSize &size) const {
  constexpr std::string_view kMark = "[+]";
  const std::string head = fmt::format(" {}  {}/{}  {} running  {}", fit(pipeline_, size.columns / 2), ended_,
                                       steps_, live_.size(), elapsed_text(since(started_, now_())));
  const std::size_t taken = kMark.size() + 1;  // one column stays free, as below
  std::vector<std::string> lines{paint(kMark, Tone::bold, color_) +
                                 fit(head, size.columns - std::min(size.columns, taken))};
  std::vector<std::pair<std::size_t, const std::string *>> order;
  for (const auto &[id, live] : live_) order.emplace_back(live.index, &id);
  std::ranges::sort(order);
  const std::size_t room = size.rows > 4 ? size.rows - 3 : 1;
  // Every step has its line before any of them has a bar.
  std::size_t spare = room - std::min(room, order.size()), shown = 0;
  for (const auto &[index, id] : order) {
    if (lines.size() > room) {
      lines.push_back(fmt::format("  and {} more", order.size() - shown));
      break;
    }
    ++shown;
    const Live &live = live_.at(*id);
    lines.push_back(live_line(*id, live, size.columns));
    for (std::string &line : bar_lines(live, std::min(spare, kBars), size.columns)) {
      lines.push_back(std::move(line));
      --spare;
    }
  }
  return lines;
}

std::string TerminalPrinter::live_line(const std::string &id, const Live &live, std::size_t columns) const {
  std::string text = fmt::format("  running   {:<{}}  {:>6}", printable(id), id_width_,
                                 elapsed_text(since(live.since, now_())));
  if (live.attempt > 1) text += fmt::format("  try {}/{}", live.attempt, live.attempts);
  if (!live.movement.empty()) text += "  " + movement_text(live.movement.whole());
  if (!live.says.empty()) text += "  " + live.says;
  // One column stays free: a full line would wrap on some terminals, and the count of lines be wrong.
  return fit(text, columns - std::min<std::size_t>(columns, 1));
}

std::vector<std::string> TerminalPrinter::bar_lines(const Live &live, std::size_t count,
                                                    std::size_t columns) const {
  const std::vector<const Moving *> parts = live.movement.largest(count);
  std::size_t label_width = 0;
  for (const Moving *part : parts) label_width = std::max(label_width, width(printable(part->label)));
  std::vector<std::string> lines;
  for (const Moving *part : parts)
    lines.push_back(bar_line(*part, label_width, columns - std::min<std::size_t>(columns, 1), glyphs_));
  return lines;
}

}  // namespace pipes
