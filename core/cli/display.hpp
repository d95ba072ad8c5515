#pragma once
// What of a run goes to standard output and standard error.
#include "core/base/error.hpp"
#include "core/cli/session_options.hpp"
#include "core/report/folded.hpp"
#include "core/report/github.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace pipes::cli {

/// Stdout, as something that is written to until the end of a run: that it cannot be does not stop steps.
class Stdout final : public TextOut {
 public:
  void write(std::string_view) override;
  /// Throws what stood in the way.
  void check() const {
    if (problem_) throw *problem_;
  }

 private:
  std::optional<Error> problem_;
};

/// The sinks that show a run as the options say.
class Display {
 public:
  explicit Display(const SessionOptions &);
  Display(const Display &) = delete;
  Display &operator=(const Display &) = delete;
  const std::vector<EventSink *> &sinks() const { return sinks_; }
  /// Stderr, for more text about the run.
  TextOut &err() { return in_github_ ? static_cast<TextOut &>(err_without_commands_) : err_; }
  /// Throws Error if stdout could not be written.
  void check() const { out_.check(); }

 private:
  template <class Sink, class... Arguments>
  void show(Arguments &&...);

  const bool in_github_;
  Stdout out_;
  FdOut err_;
  CommandlessOut out_without_commands_{out_}, err_without_commands_{err_};
  std::unique_ptr<FoldMarks> marks_;
  std::vector<std::unique_ptr<EventSink>> owned_;
  std::vector<EventSink *> sinks_;
};

/// The mode that `auto` stands for here, and now.
OutputMode automatic_mode();

}  // namespace pipes::cli
