#pragma once
#include "core/report/movement.hpp"
#include "core/report/text.hpp"

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace pipes {

struct TerminalSize {
  std::size_t columns = 80, rows = 24;
  int stops = 0;  // how often the process was stopped (Ctrl-Z): then a shell has written below what was drawn
};

/// A live display: steps that have ended scroll away above, those that run are redrawn in place below, with
/// the largest parts (blobs) that each of them moves and the last lines that it wrote, as far as there is
/// room. The instances of a for_each are one line; only those that fail have their own.
class TerminalPrinter final : public EventSink {
 public:
  using Now = std::function<std::chrono::steady_clock::time_point()>;
  using Size = std::function<TerminalSize()>;
  TerminalPrinter(
      TextOut &out, Color color, Size size, Now now = [] { return std::chrono::steady_clock::now(); },
      Glyphs glyphs = Glyphs::ascii, Detail detail = Detail::normal);
  void on(const Event &) override;
  std::optional<std::chrono::steady_clock::time_point> next_tick() const override;
  /// Redraws what has changed, in one write.
  void tick() override;

 private:
  /// An instance that runs, or waits for its next attempt.
  struct Live {
    std::chrono::steady_clock::time_point since;
    int attempt = 1, attempts = 1;
    Movement movement;
  };
  /// A step, or all instances of one.
  struct Row {
    std::size_t index = 0, instances = 1;
    std::chrono::steady_clock::time_point since;
    std::map<std::string, Live> live;
    std::map<std::string, int> ended;  // how many, by the word for their state
    std::optional<Event> worst;        // of the ends so far: what the row will end as
    std::uint64_t moved = 0;           // bytes, by instances that have ended
    std::string waits;                 // what for: its next attempt
    std::deque<std::string> says{};    // the last lines
    std::size_t count_ended() const;
  };
  Row &row(const Event &);
  void announce(const Event &);
  void say(const Event &, const std::string &text);
  void end_step(const Event &);
  void end_fan_out(const std::string &name, const Row &);
  void end_run(const Event &);

  std::vector<std::string> live_lines(const TerminalSize &) const;
  std::string row_line(const std::string &name, const Row &, std::size_t columns, bool says) const;
  std::vector<std::string> bars(const Row &, std::size_t count, std::size_t columns) const;
  std::size_t rows_drawn(std::size_t columns) const;

  TextOut &out_;
  Color color_;
  Size size_;
  Now now_;
  Glyphs glyphs_;
  Detail detail_;
  Operation operation_ = Operation::run;
  std::string pipeline_, pending_, failures_;
  std::size_t id_width_ = 0, steps_ = 0, ended_ = 0;
  std::unordered_map<std::string, std::string> fan_outs_;  // the step of the file, by instance
  std::map<std::string, std::size_t> instances_;           // of those steps
  std::map<std::string, Row> rows_;                        // under way
  std::vector<std::string> drawn_;                         // the lines that stand there now
  std::size_t drawn_columns_ = 0;
  int stops_ = 0;
  std::chrono::steady_clock::time_point started_, last_draw_;
  bool over_ = true;
};

/// The size of the terminal behind `fd`.
TerminalSize terminal_size(int fd);
/// Has the stops counted from now on.
void count_stops();
/// Blocks where the locale of the environment is UTF-8.
Glyphs terminal_glyphs();

}  // namespace pipes
