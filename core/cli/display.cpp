#include "core/cli/display.hpp"
#include "core/cli/ci.hpp"

#include "core/cli/print.hpp"
#include "core/report/json_event.hpp"
#include "core/report/plain.hpp"
#include "core/report/terminal.hpp"

#include <unistd.h>

#include <cstdlib>

namespace pipes::cli {
namespace {

/// Events as lines of JSON on stdout.
class JsonPrinter final : public EventSink {
 public:
  JsonPrinter(TextOut &out, bool in_github) : out_(out), in_github_(in_github) { out_.write(version_line()); }
  void on(const Event &event) override {
    const std::string line = to_json_line(event);
    out_.write(in_github_ ? json_without_commands(line) : line);
  }

 private:
  TextOut &out_;
  bool in_github_;
};

Color color_of(int fd) {
  return colored(fd) ? Color::on : Color::off;
}

/// Logs of CI services show colours, although they are no terminals.
Color log_color() {
  const char *no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0' ? Color::on : Color::off;
}

}  // namespace

void Stdout::write(std::string_view text) {
  if (problem_) return;
  try {
    print(text);
  } catch (const Error &error) {
    problem_ = error;
  }
}

OutputMode automatic_mode() {
  const char *term = std::getenv("TERM");
  const bool capable = term != nullptr && std::string_view(term) != "dumb";
  if (::isatty(STDERR_FILENO) == 1 && capable) return OutputMode::terminal;
  switch (ci_service()) {
    case Ci::github:
      return OutputMode::github;
    case Ci::gitlab:
      return OutputMode::gitlab;
    case Ci::none:
      break;
  }
  return OutputMode::plain;
}

template <class Sink, class... Arguments>
void Display::show(Arguments &&...arguments) {
  owned_.push_back(std::make_unique<Sink>(std::forward<Arguments>(arguments)...));
  sinks_.push_back(owned_.back().get());
}

Display::Display(const SessionOptions &options)
    : in_github_(options.output == OutputMode::github || ci_service() == Ci::github), err_(STDERR_FILENO) {
  TextOut &out = in_github_ ? static_cast<TextOut &>(out_without_commands_) : out_;
  const OutputMode mode = options.output;
  if (mode == OutputMode::json && !options.single_step) {
    show<JsonPrinter>(out_, in_github_);
  } else if (options.operation == Operation::plan || options.dry_run) {
    show<PlanPrinter>(out, err(), color_of(STDOUT_FILENO), options.detail);
  } else if (mode == OutputMode::plain || mode == OutputMode::json || options.detail == Detail::quiet) {
    // `pipe step --output json`: stdout has the outputs, and nothing else.
    show<PlainPrinter>(err(), color_of(STDERR_FILENO), options.detail);
  } else if (mode == OutputMode::terminal) {
    count_stops();
    show<TerminalPrinter>(
        err_, color_of(STDERR_FILENO), [] { return terminal_size(STDERR_FILENO); },
        [] { return std::chrono::steady_clock::now(); }, terminal_glyphs(), options.detail);
  } else {
    if (mode == OutputMode::github) {
      marks_ = std::make_unique<GithubFolds>();
    } else {
      marks_ = std::make_unique<GitlabFolds>();
    }
    show<FoldedPrinter>(err_, err(), *marks_, log_color(), options.detail);
  }
  if (mode == OutputMode::github) show<GithubAnnotations>(err_);
}

}  // namespace pipes::cli
