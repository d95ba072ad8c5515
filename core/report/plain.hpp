#pragma once
#include "core/report/movement.hpp"
#include "core/report/text.hpp"

#include <map>
#include <string>
#include <vector>

namespace pipes {

/// Lines, for logs and pipes: nothing is ever redrawn, and each line names its step. Of steps that run at the
/// same time one streams; what the others say comes in one piece, when they end or have waited for some
/// seconds.
class PlainPrinter final : public EventSink {
 public:
  /// `as_said`: someone else sorts them, and may fold them away; so a step that failed says its last lines
  /// again.
  enum class Order { by_step, as_said };
  PlainPrinter(TextOut &out, Color color, Detail detail = Detail::normal, Order order = Order::by_step)
      : out_(out), color_(color), detail_(detail), order_(order) {}
  void on(const Event &) override;
  std::optional<std::chrono::steady_clock::time_point> next_tick() const override;
  /// Lets go of what has been held back for long.
  void tick() override;

 private:
  using Time = std::chrono::system_clock::time_point;
  struct Step {
    Time began, told;  // told: its progress
    std::uint64_t done = 0;
    Movement movement{};
    std::string held{};  // lines that have not been written yet
    Time held_since{};
  };
  Step &step(const Event &);
  void say(const Event &, std::string_view text);
  void progress(const Event &);
  void end_step(const Event &);
  void release(Time now);
  const std::string *longest_held() const;

  TextOut &out_;
  Color color_;
  Detail detail_;
  Order order_;
  std::size_t id_width_ = 0;
  std::map<std::string, Step> steps_;  // that run
  std::string focus_;                  // the one that streams
  std::string failures_;               // repeated at the end, where people look
};

/// The verdicts of `pipe plan`, in the order of the file.
class PlanPrinter final : public EventSink {
 public:
  PlanPrinter(TextOut &out, TextOut &messages, Color color, Detail detail = Detail::normal)
      : out_(out), messages_(messages), color_(color), detail_(detail) {}
  void on(const Event &) override;

 private:
  void end_step(const Event &);

  TextOut &out_, &messages_;
  Color color_;
  Detail detail_;
  std::size_t id_width_ = 0, next_ = 0;
  std::vector<std::string> order_;               // the ids of the steps; none: as they come
  std::map<std::string, std::string> finished_;  // before one that stands above it
};

}  // namespace pipes
