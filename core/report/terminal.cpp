#include "core/report/terminal.hpp"

#include <fmt/core.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>

namespace pipes {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::size_t kPendingLimit = 64U << 10;
constexpr std::size_t kDetails = 6;  // lines below that of a step

using State = NodeResult::State;

std::chrono::milliseconds since(std::chrono::steady_clock::time_point from,
                                std::chrono::steady_clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to - from);
}

volatile std::sig_atomic_t stops = 0;

/// Which end of an instance says what became of all of them.
int rank(State state) {
  switch (state) {
    case State::failed:
      return 5;
    case State::cancelled:
      return 4;
    case State::changed:
      return 3;
    case State::unknown:
      return 2;
    case State::unchanged:
      return 1;
    case State::skipped:
    case State::pending:
      return 0;
  }
  return 0;
}

}  // namespace

TerminalSize terminal_size(int fd) {
  TerminalSize known;
  known.stops = stops;
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return known;
  known.columns = size.ws_col;
  known.rows = size.ws_row;
  return known;
}

void count_stops() {
  std::signal(SIGCONT, [](int) { stops = stops + 1; });
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

TerminalPrinter::TerminalPrinter(TextOut &out, Color color, Size size, Now now, Glyphs glyphs, Detail detail)
    : out_(out),
      color_(color),
      size_(std::move(size)),
      now_(std::move(now)),
      glyphs_(glyphs),
      detail_(detail) {}

std::size_t TerminalPrinter::Row::count_ended() const {
  std::size_t count = 0;
  for (const auto &[word, times] : ended) count += static_cast<std::size_t>(times);
  return count;
}

void TerminalPrinter::on(const Event &e) {
  switch (e.type) {
    case Event::Type::run_started:
      announce(e);
      break;
    case Event::Type::step_started: {
      Row &begun = row(e);
      begun.waits.clear();
      Live &live = begun.live[e.step];
      live = {.since = now_(), .attempt = e.attempt, .attempts = e.attempts, .movement = {}};
      break;
    }
    case Event::Type::log:
      if (e.level >= 2 || detail_ == Detail::verbose) say(e, printable(log_text(e, detail_)));
      break;
    case Event::Type::output:
      say(e, printable(e.message));
      break;
    case Event::Type::progress:
      row(e).live[e.step].movement.on(e.progress, since({}, now_()));
      break;
    case Event::Type::step_retried:
      row(e).live[e.step].movement = {};
      row(e).waits = std::string(first_line(printable(retry_text(e))));
      break;
    case Event::Type::step_ended:
      end_step(e);
      break;
    case Event::Type::run_ended:
      end_run(e);
      break;
    case Event::Type::notice:
      pending_ += notice_text(e, color_);
      break;
  }
  if (pending_.size() > kPendingLimit || (over_ && !pending_.empty())) tick();
}

void TerminalPrinter::announce(const Event &e) {
  pipeline_ = printable(e.pipeline);
  operation_ = e.operation;
  steps_ = e.steps.size();
  started_ = last_draw_ = now_();
  over_ = false;
  for (const Value &step : e.steps) {
    if (const Value *of = step.find("step")) ++instances_[to_text(*of)];
  }
  std::erase_if(instances_, [](const auto &step) { return step.second < 2; });
  Event shown;
  for (const Value &step : e.steps) {
    const Value *of = step.find("step"), *id = step.find("id");
    if (id == nullptr) continue;
    if (of == nullptr || !instances_.contains(to_text(*of))) {
      shown.steps.push_back(step);
      continue;
    }
    fan_outs_.emplace(to_text(*id), to_text(*of));
  }
  for (const auto &[name, count] : instances_) shown.steps.emplace_back(Value::Map{{"id", name}});
  id_width_ = id_width(shown);
}

/// The row that a step belongs to. What is rolled back has one of its own: its instances ended before.
TerminalPrinter::Row &TerminalPrinter::row(const Event &e) {
  const auto of = fan_outs_.find(e.step);
  const bool is_folded = of != fan_outs_.end() && e.operation == operation_;
  const auto [at, is_new] = rows_.try_emplace(is_folded ? of->second : e.step);
  if (is_new) {
    at->second.index = e.index;
    at->second.since = now_();
    if (is_folded) at->second.instances = instances_.at(of->second);
  }
  return at->second;
}

void TerminalPrinter::say(const Event &e, const std::string &text) {
  Row &speaker = row(e);
  if (detail_ == Detail::verbose) {
    const auto live = speaker.live.find(e.step);
    const auto began = live == speaker.live.end() ? speaker.since : live->second.since;
    pending_ += said(e.step, text, since(began, now_()), color_);
    return;
  }
  if (e.type == Event::Type::log && e.level >= 3) {
    const bool bad = e.level >= 4;
    pending_ += fmt::format("  {} {}: {}\n",
                            paint(bad ? "error:" : "warning:", bad ? Tone::bad : Tone::changed, color_),
                            printable(e.step), printable(e.message));
    return;
  }
  // Of many instances it is said which one.
  const std::string whose =
      speaker.instances > 1
          ? printable(e.step).substr(std::min(e.step.size(), fan_outs_.at(e.step).size())) + " "
          : "";
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = first_line(rest);
    if (!line.empty()) speaker.says.push_back(whose + std::string(line));
    if (speaker.says.size() > kDetails) speaker.says.pop_front();
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
}

void TerminalPrinter::end_step(const Event &e) {
  Row &ended = row(e);
  ended_ += e.operation == operation_ ? 1U : 0U;
  const bool has_failed = e.failure && e.state == State::failed;
  if (has_failed) failures_ += failure_block(e, Told::nothing, color_);
  const bool is_folded = ended.instances > 1;
  if (detail_ == Detail::verbose && !e.why.empty())
    pending_ += said(e.step, "why: " + e.why, e.elapsed, color_);
  if (!is_folded || has_failed || detail_ == Detail::verbose)
    pending_ += step_line(e, id_width_, color_, has_failed ? size_().columns : 0);
  if (!is_folded) {
    rows_.erase(e.step);
    return;
  }
  if (const auto live = ended.live.find(e.step); live != ended.live.end()) {
    ended.moved += live->second.movement.whole().bytes ? live->second.movement.whole().done : 0;
    ended.live.erase(live);
  }
  ++ended.ended[std::string(state_word(e))];
  if (!ended.worst || rank(e.state) > rank(ended.worst->state)) ended.worst = e;
  if (ended.count_ended() < ended.instances) return;
  const std::string name = fan_outs_.at(e.step);
  end_fan_out(name, ended);
  rows_.erase(name);
}

/// `  changed   push   3.1s  38 changed, 2 unchanged`
void TerminalPrinter::end_fan_out(const std::string &name, const Row &row) {
  if (!row.worst) return;
  Event all = *row.worst;
  all.step = name;
  all.failure.reset();
  all.diffs.clear();
  all.elapsed = since(row.since, now_());
  all.summary.clear();
  for (const auto &[word, count] : row.ended)
    all.summary += fmt::format("{}{} {}", all.summary.empty() ? "" : ", ", count, word);
  if (row.count_ended() < row.instances) all.summary += fmt::format(" of {}", row.instances);
  if (row.moved > 0) all.summary += "; " + bytes_text(row.moved);
  pending_ += step_line(all, id_width_, color_);
}

void TerminalPrinter::end_run(const Event &e) {
  for (const auto &[name, row] : rows_) end_fan_out(name, row);
  rows_.clear();
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
  if (size.stops != std::exchange(stops_, size.stops)) drawn_.clear();
  const std::vector<std::string> lines = over_ ? std::vector<std::string>() : live_lines(size);
  const bool is_same_place = pending_.empty() && size.columns == drawn_columns_;
  if (is_same_place && lines == drawn_) return;
  // Terminals that know it show nothing of a frame before all of it is there; the others ignore it.
  std::string frame = "\x1b[?2026h";
  if (!drawn_.empty()) frame += fmt::format("\x1b[{}A", std::min(rows_drawn(size.columns), size.rows - 1));
  frame += "\r";
  if (!is_same_place) frame += "\x1b[J" + std::exchange(pending_, {});
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool stands = is_same_place && i < drawn_.size() && lines[i] == drawn_[i];
    frame += stands ? "\n" : lines[i] + "\x1b[K\n";
  }
  frame += "\x1b[J\x1b[?2026l";  // what else stood there, and what was typed
  drawn_ = lines;
  drawn_columns_ = size.columns;
  out_.write(frame);
}

/// A terminal that has become narrower has wrapped the lines that stood there.
std::size_t TerminalPrinter::rows_drawn(std::size_t columns) const {
  std::size_t rows = 0;
  for (const std::string &line : drawn_)
    rows += std::max<std::size_t>(1, (width(printable(line)) + columns - 1) / columns);
  return rows;
}

std::vector<std::string> TerminalPrinter::live_lines(const TerminalSize &size) const {
  constexpr std::string_view kMark = "[+]";
  // One column stays free: a full line would wrap on some terminals, and the count of lines be wrong.
  const std::size_t columns = size.columns - std::min<std::size_t>(size.columns, 1);
  std::size_t running = 0;
  std::vector<std::pair<std::size_t, const std::string *>> order;
  for (const auto &[name, row] : rows_) {
    running += row.live.size();
    order.emplace_back(row.index, &name);
  }
  std::ranges::sort(order);
  const std::string head = fmt::format(" {}  {}/{}  {} running  {}", fit(pipeline_, size.columns / 2), ended_,
                                       steps_, running, elapsed_text(since(started_, now_())));
  std::vector<std::string> lines{paint(kMark, Tone::bold, color_) +
                                 fit(head, columns - std::min(columns, kMark.size()))};
  const std::size_t room = size.rows > 4 ? size.rows - 3 : 1;
  // Every step has its line before any of them has more; what is left is shared.
  std::size_t spare = room - std::min(room, order.size()), shown = 0;
  for (const auto &[index, name] : order) {
    if (lines.size() > room) {
      lines.push_back(fit(fmt::format("  and {} more", order.size() - shown), columns));
      break;
    }
    const Row &row = rows_.at(*name);
    const std::size_t left = order.size() - shown;
    const std::size_t share = std::min(kDetails, (spare + left - 1) / left);
    std::vector<std::string> below = bars(row, share, columns);
    const std::size_t said = std::min(share - below.size(), row.says.size());
    for (auto line = row.says.end() - static_cast<std::ptrdiff_t>(said); line != row.says.end(); ++line)
      below.push_back(paint(fit("    | " + *line, columns), Tone::faint, color_));
    spare -= below.size();
    ++shown;
    lines.push_back(row_line(*name, row, columns, said == 0));
    lines.insert(lines.end(), below.begin(), below.end());
  }
  return lines;
}

std::string TerminalPrinter::row_line(const std::string &name, const Row &row, std::size_t columns,
                                      bool says) const {
  std::string text =
      fmt::format(" {}  {:>6}", padded(printable(name), id_width_), elapsed_text(since(row.since, now_())));
  Moving whole;
  if (row.instances > 1) {
    text += fmt::format("  {}/{} done, {} running", row.count_ended(), row.instances, row.live.size());
    const auto failed = row.ended.find(std::string(state_name(State::failed)));
    if (failed != row.ended.end()) text += fmt::format(", {} failed", failed->second);
    whole.done = row.moved;
    for (const auto &[id, live] : row.live) {
      if (!live.movement.whole().bytes) continue;
      whole.done += live.movement.whole().done;
      whole.speed += live.movement.whole().speed;
    }
    whole.bytes = whole.done > 0;
    if (whole.bytes) text += "  " + bytes_text(whole.done);
    if (whole.speed >= 1) text += "  " + bytes_text(static_cast<std::uint64_t>(whole.speed)) + "/s";
  } else if (!row.live.empty()) {
    const Live &live = row.live.begin()->second;
    if (live.attempt > 1) text += fmt::format("  try {}/{}", live.attempt, live.attempts);
    if (!live.movement.empty()) text += "  " + movement_text(live.movement.whole());
  }
  if (!row.waits.empty()) {
    text += "  " + row.waits;
  } else if (says && !row.says.empty()) {
    text += "  " + row.says.back();
  }
  constexpr std::string_view kState = "  running  ";
  return paint(fit(kState, columns), Tone::bold, color_) +
         fit(text, columns - std::min(columns, kState.size()));
}

std::vector<std::string> TerminalPrinter::bars(const Row &row, std::size_t count, std::size_t columns) const {
  std::vector<const Moving *> parts;
  for (const auto &[id, live] : row.live) {
    for (const Moving *part : live.movement.largest(count)) parts.push_back(part);
  }
  if (row.live.size() > 1) {
    std::ranges::stable_sort(parts, std::ranges::greater(), [](const Moving *part) { return part->total; });
    parts.resize(std::min(parts.size(), count));
  }
  std::size_t label_width = 0;
  for (const Moving *part : parts) label_width = std::max(label_width, width(printable(part->label)));
  std::vector<std::string> lines;
  for (const Moving *part : parts) lines.push_back(bar_line(*part, label_width, columns, glyphs_));
  return lines;
}

}  // namespace pipes
