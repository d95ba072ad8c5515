#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/run_name.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"
#include "core/report/explain.hpp"
#include "core/report/history.hpp"
#include "core/report/plain.hpp"
#include "core/run/paths.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <memory>

namespace pipes::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 256U << 10;

std::vector<Option> options() {
  std::vector<Option> all{{"explain", "", "Say of each step why it ran or did not, and nothing else"},
                          {"follow", "", "Go on with what is said from now, until the run ends"}};
  for (const Option &option : detail_options()) all.push_back(option);
  return all;
}

/// Stdout, in pieces of some size.
class Pieces final : public TextOut {
 public:
  void write(std::string_view text) override {
    held_.append(text);
    if (held_.size() >= kPiece) flush();
  }
  void flush() {
    print(held_);
    held_.clear();
  }

 private:
  std::string held_;
};

/// A log as it was written, but for what could take over a terminal.
void show_file(const fs::path &path, TextOut &out) {
  std::ifstream file(path, std::ios::binary);
  std::string piece(kPiece, '\0'), rest;
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    rest.append(piece, 0, static_cast<std::size_t>(file.gcount()));
    // A line is whole before it is looked at, unless there is no end to it.
    std::size_t end = rest.rfind('\n');
    end = end == std::string::npos ? (file && rest.size() < 4 * kPiece ? 0 : rest.size()) : end + 1;
    if (!file) end = rest.size();
    out.write(printable(std::string_view(rest).substr(0, end)));
    rest.erase(0, end);
  }
}

/// The steps that a name means: one, or all instances of one. Throws Error if there is none.
std::vector<std::string> steps_named(const fs::path &folder, const std::string &name) {
  std::vector<std::string> meant, names;
  for (const Value &step : announced_steps(folder)) {
    const Value *id = step.find("id"), *group = step.find("step");
    if (id == nullptr) continue;
    names.push_back(to_text(*id));
    if (names.back() == name || (group != nullptr && to_text(*group) == name)) meant.push_back(names.back());
  }
  if (!meant.empty()) return meant;
  const std::string close = did_you_mean(name, names);
  throw Error(
      Exit::usage, fmt::format("run `{}` has no step `{}`", folder.filename().string(), name),
      close.empty() ? fmt::format("`pipe log {}` shows all of it", folder.filename().string()) : close);
}

void show_steps(const fs::path &folder, const std::string &name) {
  const std::vector<std::string> steps = steps_named(folder, name);
  Pieces out;
  for (const std::string &step : steps) {
    const fs::path log = folder / (file_name(step) + ".log");
    const fs::path old = log.string() + ".old";
    if (steps.size() > 1) out.write(fmt::format("==> {} <==\n", printable(step)));
    if (!fs::exists(log) && steps.size() == 1)
      print_error(fmt::format("`{}` said nothing\n", printable(step)));
    if (fs::exists(old)) show_file(old, out);
    if (fs::exists(log)) show_file(log, out);
  }
  out.flush();
}

/// What some steps of a run say, as it is said.
class StepLines final : public EventSink {
 public:
  StepLines(TextOut &out, std::vector<std::string> steps) : out_(out), steps_(std::move(steps)) {}
  void on(const Event &e) override {
    const bool says = e.type == Event::Type::log || e.type == Event::Type::output;
    if (!says || std::ranges::find(steps_, e.step) == steps_.end()) return;
    const std::string text = e.type == Event::Type::output ? e.message : log_text(e, Detail::verbose);
    out_.write(steps_.size() == 1 ? printable(text) + "\n" : said(e.step, text, std::nullopt, Color::off));
  }

 private:
  TextOut &out_;
  std::vector<std::string> steps_;
};

int run(const Words &words) {
  const auto args = arguments(kLog, words);
  if (!args) return 0;
  words_of(*args, kLog, 0, 2);
  reject_together(*args, "explain", "follow");
  const fs::path folder = run_named(args->words().empty() ? "last" : args->words().front());
  const bool follows = args->has("follow");
  if (follows) std::signal(SIGPIPE, SIG_DFL);  // nothing is to be followed for a reader that is gone
  if (args->words().size() == 2 && !follows) {
    show_steps(folder, args->words()[1]);
    return 0;
  }
  Pieces out;
  std::unique_ptr<EventSink> shown;
  if (args->words().size() == 2) {
    shown = std::make_unique<StepLines>(out, steps_named(folder, args->words()[1]));
  } else if (!args->has("explain")) {
    shown = std::make_unique<PlainPrinter>(out, colored(STDOUT_FILENO) ? Color::on : Color::off,
                                           parse_detail(*args));
  }
  ExplainPrinter explained(out);
  bool has_end = false;
  const auto show = [&](const Event &e, std::string_view) {
    shown ? shown->on(e) : explained.on(e);
    has_end = has_end || e.type == Event::Type::run_ended;
    if (follows) out.flush();
  };
  follows ? follow(folder, show) : replay(folder, show);
  if (!has_end && args->has("explain")) explained.finish();
  out.flush();
  if (!has_end)
    print_error(fmt::format("this run {}\n", run_record(folder).status == "running"
                                                 ? "is still under way"
                                                 : "was killed: it has no end"));
  return 0;
}

}  // namespace

const Verb kLog{
    "log",
    "[RUN [STEP]] [--follow] [--explain]",
    "Show what was said in a run, or by one of its steps",
    "Shows a run as plain lines, or the whole log of one step. RUN is an id that `pipe runs` lists, the\n"
    "beginning of one, a pipeline by its name or file (its last run), or `last`, which is meant without "
    "it.\n\n"
    "  pipe log last push\n"
    "  pipe log --follow",
    options,
    run};

}  // namespace pipes::cli
