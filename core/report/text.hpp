#pragma once
// How things read on a terminal or in a log.
#include "core/base/columns.hpp"
#include "core/run/event.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pipes {

/// Where text goes.
class TextOut {
 public:
  virtual ~TextOut() = default;
  virtual void write(std::string_view) = 0;
};

/// A descriptor of the process. A reader that went away is no error: the run goes on.
class FdOut final : public TextOut {
 public:
  explicit FdOut(int fd) : fd_(fd) {}
  void write(std::string_view) override;

 private:
  int fd_;
};

/// How much of a run is told. `quiet`: what went wrong, and how it ended. `verbose`: every line of every
/// step, with its time.
enum class Detail { quiet, normal, verbose };

enum class Color { off, on };
enum class Tone { plain, good, changed, bad, faint, bold };
std::string paint(std::string_view text, Tone, Color);

/// "0.2s", "12.7s", "3m05s", "2h03m".
std::string elapsed_text(std::chrono::milliseconds);
/// "512 B", "42.1 MB", in powers of 1000 as registries count.
std::string bytes_text(std::uint64_t);
/// What a step says, each line behind its name, and the time since it began if there is one:
/// `pull | fetching blobs`.
std::string said(const std::string &step, std::string_view text, std::optional<std::chrono::milliseconds> at,
                 Color);
/// The text of a log event behind its level; `verbose`: with its fields.
std::string log_text(const Event &log, Detail);
/// `try 2 of 4 in 2.0s: 503 Service Unavailable`
std::string retry_text(const Event &step_retried);
/// `warning: …`, and its hint.
std::string notice_text(const Event &notice, Color);
/// "changed", "unchanged", "undone" … and the colour that goes with it.
std::string_view state_word(const Event &step_ended);
Tone state_tone(const Event &step_ended);
/// `registry: changed=4 unchanged=1 failed=0 skipped=0   6.2s`
std::string recap(const Event &run_ended);
/// `Plan: 1 to create, 1 unknown, 3 up to date.`
std::string plan_recap(const Counts &);
/// A step of a plan, with what differs beneath it. `quiet`: only one that failed.
std::string plan_lines(const Event &step_ended, std::size_t id_width, Color, Detail = Detail::normal);
/// Message, hint, parameters, last lines and log of a step that failed. `Told::events`: its lines stand above
/// already, but for those that no event tells.
enum class Told { nothing, events };
std::string failure_block(const Event &step_ended, Told, Color);
/// `  changed    pull   3.1s  summary`, and what it changed beneath. `columns`: what there is room for, where
/// the whole message stands elsewhere.
std::string step_line(const Event &step_ended, std::size_t id_width, Color, std::size_t columns = 0);
/// The widest id of the steps that a run announced, within reason.
std::size_t id_width(const Event &run_started);
/// How far a step is, from all its parts: "2.1 MB / 3.4 MB".
std::string progress_text(std::uint64_t done, std::uint64_t total, bool bytes);

}  // namespace pipes
