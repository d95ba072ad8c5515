#pragma once
// What moves in a step, and how fast.
#include "core/run/message.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pipes {

/// One thing that moves: a blob, or all of them together. Its speed is smoothed over some seconds, so that
/// it can be read.
struct Moving {
  std::string label{};
  std::uint64_t done = 0, total = 0;
  bool bytes = false;
  double speed = 0;  // a second

  bool ended() const { return done >= total; }
  /// What the rest will take at this speed; nothing where that is anybody's guess.
  std::optional<std::chrono::seconds> left() const;
  /// `done` and `total` as they are at `now`, a time since any fixed point.
  void advance(std::uint64_t done, std::uint64_t total, std::chrono::milliseconds now);

 private:
  std::optional<std::chrono::milliseconds> measured_{};
  std::uint64_t start_ = 0;  // `done` at that time
};

/// The progress that one step has reported.
class Movement {
 public:
  void on(const ProgressReport &, std::chrono::milliseconds now);
  bool empty() const { return !any_; }
  /// All of it: what the step says of itself as a whole (id 0), else the sum of its parts.
  const Moving &whole() const { return whole_; }
  /// The parts under way, at most so many: the largest ones, in the order in which they began.
  std::vector<const Moving *> largest(std::size_t count) const;

 private:
  void add_up(std::chrono::milliseconds now);

  bool any_ = false, says_whole_ = false;
  Moving whole_;
  ProgressReport ended_{};                 // the sum of parts that have ended
  std::map<std::uint64_t, Moving> parts_;  // under way, by id
};

/// "12.1 MB / 45.0 MB  3.2 MB/s  10s left", as far as it is known.
std::string movement_text(const Moving &);
/// "59s", "3m05s", "2h03m".
std::string left_text(std::chrono::seconds);

/// What bars are drawn of.
enum class Glyphs { ascii, blocks };
/// `[=====>    ]` or `█████▌    `, `columns` wide.
std::string bar(const Moving &, std::size_t columns, Glyphs);
/// A line with label, bar and figures that is at most `columns` wide; the bar goes first where there is no
/// room, then what is left to wait for, then the speed.
std::string bar_line(const Moving &, std::size_t label_width, std::size_t columns, Glyphs);

}  // namespace pipes
