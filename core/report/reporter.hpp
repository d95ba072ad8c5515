#pragma once
#include "core/report/journal.hpp"
#include "core/run/event.hpp"
#include "core/run/redactor.hpp"

#include <deque>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

namespace pipes {

/// Stands between a run and everything that shows or keeps it: masks secrets, keeps a log of each step,
/// cuts output into lines, and bounds how much of it the printers see. Memory is held for running steps
/// only.
class Reporter final : public EventSink {
 public:
  /// How much of a step's log and output goes to the printers; the rest is in its log alone.
  static constexpr std::size_t kShown = 4U << 20;
  static constexpr std::size_t kLogLimit = 16U << 20;

  /// `folder`: where the logs of steps go; empty: they are not kept. The sinks must outlive this.
  Reporter(const Redactor &redactor, std::filesystem::path folder, std::vector<EventSink *> sinks)
      : redactor_(redactor), folder_(std::move(folder)), sinks_(std::move(sinks)) {}

  void on(const Event &) override;
  std::optional<std::chrono::steady_clock::time_point> next_tick() const override;
  void tick() override;

 private:
  struct Capture {
    explicit Capture(const Redactor &redactor, LogFile file) : stream(redactor), log(std::move(file)) {}
    StreamRedactor stream;
    LogFile log;
    std::string partial;  // a line that has no end yet
    struct Line {
      std::string text;
      bool told;  // by an event that every printer shows
    };
    std::deque<Line> tail;
    std::size_t shown = 0;
    bool cut = false;
  };
  Capture &capture_of(const Event &);
  void output(const Event &);
  /// Hands on the complete lines of `bytes`, which are masked already.
  void lines(const Event &, Capture &, std::string_view bytes, bool last);
  void remember_line(Capture &, std::string_view, bool told);
  void show(const Event &, Capture &, std::size_t cost);
  void log(const Event &);
  void end_step(Event);
  void emit(const Event &);

  const Redactor &redactor_;
  std::filesystem::path folder_;
  std::vector<EventSink *> sinks_;
  std::unordered_map<std::string, Capture> captures_;
};

}  // namespace pipes
