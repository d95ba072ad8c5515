#pragma once
#include "core/report/movement.hpp"
#include "core/report/text.hpp"

#include <map>
#include <string>
#include <vector>

namespace pipes {

/// Lines, for logs and pipes: nothing is ever redrawn, and each line names its step.
class PlainPrinter final : public EventSink {
 public:
  /// `told`: whether the lines of a step that failed stand where they are seen, or are said again at the end.
  PlainPrinter(TextOut &out, Color color, Told told = Told::events)
      : out_(out), color_(color), told_(told) {}
  void on(const Event &) override;

 private:
  void progress(const Event &);

  struct Progress {
    std::chrono::system_clock::time_point at;
    std::uint64_t done = 0;
    Movement movement{};
  };
  TextOut &out_;
  Color color_;
  Told told_;
  std::size_t id_width_ = 0;
  std::map<std::string, Progress> progress_;  // of running steps: what was said last
  std::string failures_;                      // repeated at the end, where people look
};

/// The verdicts of `pipe plan`.
class PlanPrinter final : public EventSink {
 public:
  PlanPrinter(TextOut &out, TextOut &messages, Color color) : out_(out), messages_(messages), color_(color) {}
  void on(const Event &) override;

 private:
  TextOut &out_, &messages_;
  Color color_;
  std::size_t id_width_ = 0;
};

}  // namespace pipes
