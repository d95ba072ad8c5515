#include "core/report/text.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

namespace pipes {
namespace {

using State = NodeResult::State;

constexpr std::size_t kWidestId = 40;

std::string indent(std::string_view text, std::string_view with) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    out.append(with).append(line).append("\n");
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return out;
}

/// What a plugin says for people, as far as anyone would read it; the journal has all of it.
std::string readable(std::string_view text) {
  constexpr std::size_t kLongest = 8U << 10;
  return text.size() <= kLongest ? printable(text) : printable(text.substr(0, kLongest)) + " …";
}

/// The first lines in which two texts differ; " …" stands for what is before and after.
std::pair<std::string, std::string> differing_lines(std::string_view before, std::string_view after) {
  bool later = false;
  for (; first_line(before) == first_line(after) && before != after; later = true) {
    before.remove_prefix(std::min(before.size(), first_line(before).size() + 1));
    after.remove_prefix(std::min(after.size(), first_line(after).size() + 1));
  }
  const auto shown = [later](std::string_view text) -> std::string {
    if (text.empty()) return later ? "…" : "(none)";
    const std::string_view line = first_line(text);
    const bool is_last = line.size() + 1 >= text.size();
    return fmt::format("{}{}{}", later ? "… " : "", line, is_last ? "" : " …");
  };
  return {shown(before), shown(after)};
}

/// Fields that differ, one below the other: `image    sha256:9f01 -> sha256:cb52`.
std::string diff_lines(const std::vector<Diff> &diffs, std::string_view margin, Color color) {
  std::size_t columns = 0;
  for (const Diff &diff : diffs) columns = std::max(columns, width(printable(diff.field)));
  std::string out;
  for (const Diff &diff : diffs) {
    const auto [before, after] = differing_lines(printable(diff.before), printable(diff.after));
    out += fmt::format("{}{}  {} {} {}\n", margin, padded(printable(diff.field), columns),
                       paint(before, Tone::faint, color), paint("->", Tone::faint, color), after);
  }
  return out;
}

/// What a step was given.
std::string params_lines(const Value::Map &params, Color color) {
  constexpr std::size_t kLongest = 100;
  std::size_t columns = 0;
  for (const auto &[name, value] : params) {
    columns = std::max(columns, width(printable(name)));
  }
  if (columns == 0) return {};
  std::string out = "  it was given:\n";
  for (const auto &[name, value] : params) {
    const std::string text = printable(to_text(value));
    const std::string_view first = first_line(text);
    out += fmt::format("    {} {} {}{}\n", padded(printable(name), columns), paint("=", Tone::faint, color),
                       fit(first, kLongest), first.size() < text.size() ? " …" : "");
  }
  return out;
}

struct Sign {
  std::string_view sign, word;
  Tone tone;
};

Sign plan_sign(const Event &e) {
  if (e.state == State::failed) return {"!", "failed", Tone::bad};
  if (e.state == State::cancelled) return {"!", "cancelled", Tone::faint};
  if (e.state == State::skipped) return {" ", "skip", Tone::faint};
  if (e.state == State::unchanged) return {"=", "up to date", Tone::good};
  switch (e.verdict) {
    case Verdict::create:
      return {"+", "create", Tone::changed};
    case Verdict::change:
      return {"~", "change", Tone::changed};
    case Verdict::replace:
      return {"-/+", "replace", Tone::changed};
    case Verdict::remove:
      return {"-", "remove", Tone::changed};
    default:
      return {"?", "unknown", Tone::faint};
  }
}

}  // namespace

void FdOut::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{fd_, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

std::string paint(std::string_view text, Tone tone, Color color) {
  constexpr std::array<std::string_view, 6> kCodes{"", "32", "33", "31;1", "2", "1"};
  const std::string_view code = kCodes.at(static_cast<std::size_t>(tone));
  if (color == Color::off || code.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string elapsed_text(std::chrono::milliseconds elapsed) {
  const std::int64_t ms = std::max<std::int64_t>(0, elapsed.count()), seconds = ms / 1000;
  if (seconds < 60) return fmt::format("{}.{}s", seconds, ms % 1000 / 100);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr std::array<const char *, 5> kUnits{"kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  // Rounding must not make 1000.0 of a unit.
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string said(const std::string &step, std::string_view text, std::optional<std::chrono::milliseconds> at,
                 Color color) {
  const std::string time = at ? fmt::format(" {:>6}", elapsed_text(*at)) : "";
  const std::string prefix = paint(printable(step) + time + " |", Tone::faint, color) + " ";
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

std::string log_text(const Event &e, Detail detail) {
  constexpr std::array<std::string_view, 5> kLevels{"trace: ", "debug: ", "", "warning: ", "error: "};
  std::string text(kLevels.at(static_cast<std::size_t>(std::clamp(e.level, 0, 4))));
  text += e.message;
  if (detail == Detail::verbose) {
    for (const auto &[name, value] : e.fields) text += fmt::format(" {}={}", name, to_text(value));
  }
  return text;
}

std::string retry_text(const Event &e) {
  return fmt::format("try {} of {} in {}: {}", e.attempt + 1, e.attempts, elapsed_text(e.elapsed),
                     e.failure ? e.failure->message : "");
}

std::string notice_text(const Event &e, Color color) {
  const bool bad = e.level >= 4;
  std::string out =
      fmt::format("{} {}\n", paint(bad ? "error:" : "warning:", bad ? Tone::bad : Tone::changed, color),
                  printable(e.message));
  if (!e.hint.empty()) out += indent(printable(e.hint), "  hint: ");
  return out;
}

std::string_view state_word(const Event &e) {
  if (!e.kept.empty()) return "kept";
  const bool undone = e.state == State::changed && e.operation == Operation::undo;
  return undone ? "undone" : state_name(e.state);
}

Tone state_tone(const Event &e) {
  switch (e.state) {
    case State::changed:
      return Tone::changed;
    case State::unchanged:
      return Tone::good;
    case State::failed:
      return Tone::bad;
    default:
      return Tone::faint;
  }
}

std::string recap(const Event &e) {
  const Counts &c = e.counts;
  std::string out = fmt::format("{}: changed={} unchanged={} failed={} skipped={}", printable(e.pipeline),
                                c.changed, c.unchanged, c.failed, c.skipped);
  const auto also = [&out](std::string_view name, int count) {
    if (count > 0) out += fmt::format(" {}={}", name, count);
  };
  also("cancelled", c.cancelled);
  also("not_run", c.not_run);
  also("retried", c.retried);
  also("undone", c.undone);
  return out + "   " + elapsed_text(e.elapsed);
}

std::string plan_recap(const Counts &c) {
  std::string out;
  const auto add = [&out](int count, std::string_view what) {
    if (count > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, what);
  };
  add(c.create, "to create");
  add(c.change, "to change");
  add(c.replace, "to replace");
  add(c.remove, "to remove");
  add(c.unknown, "unknown");
  add(c.failed, "failed");
  if (out.empty() && c.not_run == 0 && c.cancelled == 0) return "No changes.\n";
  add(c.skipped, "skipped");
  add(c.unchanged, "up to date");
  add(c.not_run + c.cancelled, "not looked at");
  return "Plan: " + out + ".\n";
}

std::string plan_lines(const Event &e, std::size_t id_columns, Color color, Detail detail) {
  const Sign sign = plan_sign(e);
  if (detail == Detail::quiet && !e.failure) return {};
  std::string out = fmt::format("{} {}  {}", paint(fmt::format("{:>3}", sign.sign), sign.tone, color),
                                padded(printable(e.step), id_columns),
                                paint(fmt::format("{:<10}", sign.word), sign.tone, color));
  if (detail == Detail::verbose) out += fmt::format("  {:>6}", elapsed_text(e.elapsed));
  const std::string why = e.failure ? e.failure->message : e.summary;
  if (!why.empty()) out += "  " + std::string(first_line(printable(why)));
  while (out.ends_with(' ')) out.pop_back();
  out += "\n" + diff_lines(e.diffs, "        ", color);
  if (detail == Detail::verbose && !e.why.empty()) out += indent(printable(e.why), "        why: ");
  if (e.failure && !e.failure->hint.empty()) out += indent(printable(e.failure->hint), "        hint: ");
  return out;
}

std::string failure_block(const Event &e, Told told, Color color) {
  const Failure &f = *e.failure;
  const std::string message = readable(f.message);
  const std::string_view first = first_line(message);
  std::string out = fmt::format("{} {}: {}\n", paint("error:", Tone::bad, color), printable(e.step), first);
  if (first.size() < message.size()) out += indent(std::string_view(message).substr(first.size() + 1), "  ");
  if (!f.hint.empty()) out += indent(readable(f.hint), "  hint: ");
  out += params_lines(f.given, color);
  const std::vector<std::string> &lines = told == Told::events ? f.untold : f.tail;
  if (!lines.empty()) {
    out += told == Told::events ? "  its last lines that are not above:\n" : "  its last lines:\n";
    for (const std::string &line : lines) {
      out += fmt::format("    {} {}\n", paint("|", Tone::faint, color), printable(line));
    }
  }
  if (!f.log.empty()) out += fmt::format("  log: {}\n", f.log);
  return out;
}

std::string step_line(const Event &e, std::size_t id_columns, Color color, std::size_t columns) {
  const std::string state = fmt::format("  {:<9}", state_word(e));
  std::string rest =
      fmt::format(" {}  {:>6}", padded(printable(e.step), id_columns), elapsed_text(e.elapsed));
  const std::string why = readable(e.failure ? e.failure->message : e.summary);
  // The time is that of the last one.
  const std::string tries = e.attempt > 1 ? fmt::format("try {}: ", e.attempt) : "";
  if (!why.empty()) rest += "  " + tries + std::string(first_line(why));
  if (columns > 0) rest = fit(rest, columns - std::min(columns, state.size()));
  std::string out = paint(state, state_tone(e), color) + rest + "\n";
  const std::string margin(std::size_t{2} + 9 + 1, ' ');
  return out + diff_lines(e.diffs, margin, color);
}

std::size_t id_width(const Event &start) {
  std::size_t widest = 0;
  for (const Value &step : start.steps) {
    if (const Value *id = step.find("id")) widest = std::max(widest, width(id->as_string()));
  }
  return std::min(widest, kWidestId);
}

std::string progress_text(std::uint64_t done, std::uint64_t total, bool bytes) {
  const auto text = [bytes](std::uint64_t n) { return bytes ? bytes_text(n) : fmt::format("{}", n); };
  return total == 0 ? text(done) : text(done) + " / " + text(total);
}

}  // namespace pipes
