#pragma once
// What a job of GitHub Actions reads in a log: workflow commands, lines such as `::error file=…::message`.
// docs.github.com: Workflow commands for GitHub Actions.
#include "core/base/diagnostic.hpp"
#include "core/report/text.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pipes {

using Properties = std::vector<std::pair<std::string_view, std::string>>;
/// `::name key=value,key=value::data` and a line end; empty properties are left out. Data and values are
/// escaped, so that neither can end the command or begin another.
std::string workflow_command(std::string_view name, const Properties &, std::string_view data);

/// Text that someone else wrote, with no line in it that the runner would take for a command. It obeys lines
/// that begin with `::`, whatever space there is before, and `##[` anywhere in a line; both get a space
/// inside. Breaking the text is safer than `::stop-commands::`: that has to be ended, and what a process
/// writes to standard output and to standard error reaches the runner in any order.
std::string without_commands(std::string_view);
/// The same for JSON, which means the same afterwards: its lines begin with a brace, and `#` is `\u0023`.
std::string json_without_commands(std::string_view);

/// Hands on text without commands.
class CommandlessOut final : public TextOut {
 public:
  explicit CommandlessOut(TextOut &out) : out_(out) {}
  void write(std::string_view text) override { out_.write(without_commands(text)); }

 private:
  TextOut &out_;
};

/// GitHub shows so many errors, and so many warnings, of one step of a job.
inline constexpr int kMostAnnotations = 10;

/// Problems in files as annotations, errors first; a last line says how many GitHub would not show.
std::string annotations(const Diagnostics &);

/// Annotates the file of a pipeline: where the steps stand that failed or warned. Comes behind the printer,
/// so that no annotation is folded away with the output of a step.
class GithubAnnotations final : public EventSink {
 public:
  explicit GithubAnnotations(TextOut &out) : out_(out) {}
  void on(const Event &) override;

 private:
  void annotate(std::string_view level, const Event &, const std::string &title, const std::string &message);

  TextOut &out_;
  std::string file_;
  std::map<std::string, std::int64_t> lines_;               // of steps in it, by id
  std::map<std::string, std::vector<std::string>> warned_;  // by running step
  std::map<std::string_view, int> count_;                   // by level
};

}  // namespace pipes
