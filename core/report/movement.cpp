#include "core/report/movement.hpp"

#include "core/report/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pipes {
namespace {

using std::chrono::milliseconds;

constexpr double kMemory = 3;           // seconds that a speed remembers
constexpr milliseconds kShortest{200};  // a shorter while measures buffers, not the network
constexpr std::size_t kIndent = 4;
constexpr std::size_t kWidestBar = 40, kNarrowestBar = 8;

std::string speed_text(const Moving &moving) {
  return bytes_text(static_cast<std::uint64_t>(moving.speed)) + "/s";
}

}  // namespace

std::optional<std::chrono::seconds> Moving::left() const {
  constexpr double kTooLong = 100 * 3600;
  if (!bytes || ended() || speed < 1) return std::nullopt;
  const double seconds = static_cast<double>(total - done) / speed;
  if (seconds > kTooLong) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(std::ceil(seconds)));
}

void Moving::advance(std::uint64_t now_done, std::uint64_t now_total, milliseconds now) {
  // What was there before (a blob that is resumed) has not moved: the clock starts with the first byte.
  if (!measured_ || done == 0 || now_done < done) {
    measured_ = now;
    done = now_done;
    total = now_total;
    start_ = now_done;
    return;
  }
  done = now_done;
  total = now_total;
  const milliseconds meanwhile = now - *measured_;
  if (meanwhile < kShortest) return;
  const double seconds = std::chrono::duration<double>(meanwhile).count();
  const double latest = static_cast<double>(done - start_) / seconds;
  const double weight = speed == 0 ? 1 : 1 - std::exp(-seconds / kMemory);
  speed += weight * (latest - speed);
  measured_ = now;
  start_ = done;
}

void Movement::on(const ProgressReport &report, milliseconds now) {
  any_ = true;
  if (report.id == 0) {
    says_whole_ = true;
    whole_.bytes = report.bytes;
    return whole_.advance(report.done, report.total, now);
  }
  Moving &part = parts_[report.id];
  part.label = report.label;
  part.bytes = report.bytes;
  part.advance(report.done, report.total, now);
  if (part.ended()) {
    // Bytes and counts do not add up; bytes say more.
    if (part.bytes && !ended_.bytes) ended_ = {};
    if (part.bytes || !ended_.bytes) {
      ended_.bytes = part.bytes;
      ended_.done += part.done;
      ended_.total += part.total;
    }
    parts_.erase(report.id);
  }
  if (!says_whole_) add_up(now);
}

void Movement::add_up(milliseconds now) {
  const bool bytes =
      ended_.bytes || std::ranges::any_of(parts_, [](const auto &part) { return part.second.bytes; });
  std::uint64_t done = bytes == ended_.bytes ? ended_.done : 0;
  std::uint64_t total = bytes == ended_.bytes ? ended_.total : 0;
  for (const auto &[id, part] : parts_) {
    if (part.bytes != bytes) continue;
    done += part.done;
    total += part.total;
  }
  whole_.bytes = bytes;
  whole_.advance(done, total, now);
}

std::vector<const Moving *> Movement::largest(std::size_t count) const {
  std::vector<std::pair<std::uint64_t, const Moving *>> found;
  for (const auto &[id, part] : parts_)
    if (part.bytes && part.total > 0) found.emplace_back(id, &part);
  std::ranges::stable_sort(found, std::ranges::greater(),
                           [](const auto &part) { return part.second->total; });
  found.resize(std::min(found.size(), count));
  std::ranges::sort(found);
  std::vector<const Moving *> parts;
  for (const auto &[id, part] : found) parts.push_back(part);
  return parts;
}

std::string left_text(std::chrono::seconds left) {
  return left < std::chrono::minutes(1) ? fmt::format("{}s", left.count()) : elapsed_text(left);
}

std::string movement_text(const Moving &moving) {
  std::string text = progress_text(moving.done, moving.total, moving.bytes);
  if (!moving.bytes || moving.ended() || moving.speed < 1) return text;
  text += "  " + speed_text(moving);
  if (const auto left = moving.left()) text += fmt::format("  {} left", left_text(*left));
  return text;
}

std::string bar(const Moving &moving, std::size_t columns, Glyphs glyphs) {
  constexpr std::array<std::string_view, 9> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
  const double part =
      moving.total == 0 ? 1
                        : std::min(1.0, static_cast<double>(moving.done) / static_cast<double>(moving.total));
  std::string text;
  if (glyphs == Glyphs::blocks) {
    const auto eighths = static_cast<std::size_t>(part * static_cast<double>(8 * columns));
    for (std::size_t i = 0; i < columns; ++i) {
      const std::string_view cell = kEighths.at(std::min<std::size_t>(8, eighths - std::min(eighths, 8 * i)));
      text += cell.empty() ? "·" : cell;
    }
    return text;
  }
  const std::size_t inside = columns - std::min<std::size_t>(columns, 2);
  const auto full = static_cast<std::size_t>(part * static_cast<double>(inside));
  text = std::string(full, '=');
  if (full < inside) text += '>';
  text.resize(inside, ' ');
  return "[" + text + "]";
}

std::string bar_line(const Moving &moving, std::size_t label_width, std::size_t columns, Glyphs glyphs) {
  std::string line = std::string(kIndent, ' ') + padded(printable(moving.label), label_width);
  const std::string figures =
      fmt::format("  {:>8} / {:>8}", bytes_text(moving.done), bytes_text(moving.total));
  const std::string speed = fmt::format("  {:>10}", moving.speed < 1 ? "" : speed_text(moving));
  const auto left = moving.left();
  const std::string rest = fmt::format("  {:>6}", left ? left_text(*left) : "");
  const std::size_t taken = width(line) + figures.size() + speed.size() + rest.size() + 2;
  const std::size_t room = columns - std::min(columns, taken);
  if (room >= kNarrowestBar) line += "  " + bar(moving, std::min(room, kWidestBar), glyphs);
  for (const std::string &text : {figures, speed, rest}) {
    if (width(line) + text.size() > columns) break;
    line += text;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return fit(line, columns);
}

}  // namespace pipes
