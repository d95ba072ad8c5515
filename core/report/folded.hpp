#pragma once
// The log of a job of CI, in which the output of each step is folded away under its name.
#include "core/report/plain.hpp"

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace pipes {

/// How a log is told where a fold begins and ends.
class FoldMarks {
 public:
  virtual ~FoldMarks() = default;
  virtual std::string begin(std::string_view title, std::chrono::system_clock::time_point) = 0;
  virtual std::string end(std::chrono::system_clock::time_point) = 0;
};

/// `::group::` and `::endgroup::`.
class GithubFolds final : public FoldMarks {
 public:
  std::string begin(std::string_view title, std::chrono::system_clock::time_point) override;
  std::string end(std::chrono::system_clock::time_point) override;
};

/// Sections as docs.gitlab.com, "Custom collapsible sections", has them: collapsed.
class GitlabFolds final : public FoldMarks {
 public:
  std::string begin(std::string_view title, std::chrono::system_clock::time_point) override;
  std::string end(std::chrono::system_clock::time_point) override;

 private:
  std::string name_;
};

/// The plain lines, those of a step below each other. The output of one running step is written as it comes,
/// that of the others when they end, or when the first one has ended. Folds cannot stand in each other.
class FoldedPrinter final : public EventSink {
 public:
  /// `marks` are written to `out`; everything else, which others have a say in, to `text`.
  FoldedPrinter(TextOut &out, TextOut &text, FoldMarks &marks, Color color, Detail detail = Detail::normal)
      : out_(out), text_(text), marks_(marks), plain_(said_, color, detail, PlainPrinter::Order::as_said) {}
  void on(const Event &) override;

  /// How much output of a step waits to be written; of more, the last part.
  static constexpr std::size_t kHeld = 256U << 10;

 private:
  struct Said final : public TextOut {
    std::string text;
    void write(std::string_view more) override { text += more; }
  };
  struct Held {
    std::string text;
    std::size_t dropped = 0;
  };
  void add(const Event &, const std::string &text);
  void write_held(const std::string &step, std::chrono::system_clock::time_point);
  void close(std::chrono::system_clock::time_point);

  TextOut &out_, &text_;
  FoldMarks &marks_;
  Said said_;
  PlainPrinter plain_;
  std::string shown_;                        // the step whose output is written as it comes; empty: none
  bool is_open_ = false, was_open_ = false;  // its fold
  std::map<std::string, Held> held_;
};

}  // namespace pipes
