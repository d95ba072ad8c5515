#pragma once
#include "core/report/movement.hpp"
#include "core/report/text.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pipes {

struct TerminalSize {
  std::size_t columns = 80, rows = 24;
};

/// A live display: steps that have ended scroll away above, those that run are redrawn in place below, with
/// the largest parts (blobs) that each of them moves, as far as there is room.
class TerminalPrinter final : public EventSink {
 public:
  using Now = std::function<std::chrono::steady_clock::time_point()>;
  using Size = std::function<TerminalSize()>;
  TerminalPrinter(
      TextOut &out, Color color, Size size, Now now = [] { return std::chrono::steady_clock::now(); },
      Glyphs glyphs = Glyphs::ascii);
  void on(const Event &) override;
  std::optional<std::chrono::steady_clock::time_point> next_tick() const override;
  /// Redraws.
  void tick() override;

 private:
  struct Live {
    std::size_t index = 0;
    std::chrono::steady_clock::time_point since;
    int attempt = 1, attempts = 1;
    std::string says;
    Movement movement;
  };
  std::vector<std::string> live_lines(const TerminalSize &) const;
  std::string live_line(const std::string &id, const Live &, std::size_t columns) const;
  std::vector<std::string> bar_lines(const Live &, std::size_t count, std::size_t columns) const;
  std::size_t rows_drawn(std::size_t columns) const;
  void end_step(const Event &);
  void end_run(const Event &);

  TextOut &out_;
  Color color_;
  Size size_;
  Now now_;
  std::string pipeline_, pending_, failures_;
  Glyphs glyphs_;
  std::size_t id_width_ = 0, steps_ = 0, ended_ = 0;
  std::vector<std::size_t> drawn_;  // the widths of the lines that stand there now
  std::map<std::string, Live> live_;
  std::chrono::steady_clock::time_point started_, last_draw_;
  bool over_ = true;
};

/// The size of the terminal behind `fd`.
TerminalSize terminal_size(int fd);
/// Blocks where the locale of the environment is UTF-8.
Glyphs terminal_glyphs();

}  // namespace pipes
