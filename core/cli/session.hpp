#pragma once
// What every verb that runs steps has in common.
#include "core/base/error.hpp"
#include "core/cli/ci.hpp"
#include "core/cli/options.hpp"
#include "core/plan/plan.hpp"
#include "core/plan/steps.hpp"
#include "core/report/report.hpp"
#include "core/report/text.hpp"
#include "core/run/resumption.hpp"
#include "core/run/scheduler.hpp"
#include "core/run/zygote.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pipes::cli {

enum class OutputMode { terminal, plain, json, github, gitlab };

/// How steps are run and shown, from the options of the command line.
struct SessionOptions {
  Operation operation = Operation::run;
  OutputMode output = OutputMode::plain;
  Detail detail = Detail::normal;
  int jobs = 1;
  bool undo_data = false;
  bool dry_run = false;  // undo: only say what would be taken back
  bool isolated = true;  // a process for each step
  // `pipe step`: there is no state to keep, and --output json prints the outputs instead of the events.
  bool single_step = false;
  bool explain = false;  // say of each step why it ran or did not
  std::vector<ReportOrder> reports;
  std::vector<std::string> plugin_path;  // that the command line named
};

/// How a run begins, where that is not at the beginning.
struct Start {
  Choice choice;                // of the steps
  std::optional<PastRun> past;  // the run that this one goes on with
};

/// --output; `json` says what that mode prints.
Option output_option(const std::string &json);
/// --quiet and --verbose.
std::vector<Option> detail_options();
/// The options that `session_options` reads; those among them.
std::vector<Option> common_options();
/// --set and --var-file.
std::vector<Option> input_options();
/// What a verb that runs a pipeline file takes: options of its own, and those of all of them.
std::vector<Option> file_options(std::vector<Option> own);
SessionOptions session_options(const Arguments &);
Detail parse_detail(const Arguments &);
/// Throws Error{Exit::usage} if both options are given.
void reject_together(const Arguments &, const char *one, const char *other);
Inputs inputs(const Arguments &);

/// Runs plans. Made first of all, while the process is small and knows no secret: it forks the zygote.
class Session {
 public:
  explicit Session(const SessionOptions &);
  /// Runs the plan, shows and records it, and prints its outputs.
  RunOutcome execute(const Plan &, Start start = {});

 private:
  SessionOptions options_;
  std::optional<Zygote> zygote_;
};

/// The plugins that the command line and the environment point to. Throws Error if a folder of the command
/// line is not there.
PluginRegistry registry(const Arguments &);
PluginRegistry registry(const std::vector<std::string> &plugin_paths);

/// A session of a verb that runs a pipeline file.
class FileSession {
 public:
  FileSession(std::string file, Inputs, const SessionOptions &);
  /// Reads, checks and plans the file; prints what is wrong as `--output` has it. Throws nothing for an
  /// invalid one: nullopt, and `code` is what to exit with.
  std::optional<Plan> read();
  RunOutcome execute(const Plan &plan, Start start = {}) { return session_.execute(plan, std::move(start)); }

  Inputs given;
  int code = 0;

 private:
  Session session_;  // before anything is read
  std::string file_;
  OutputMode output_;
  PluginRegistry plugins_;
};

/// What an invalid file makes `pipe` exit with: plugin, if plugins are all that is wrong.
Exit invalid_code(const Diagnostics &);
/// The one file that a verb takes.
std::string one_file(const Arguments &);
/// The exit code of a run.
int exit_code(const RunOutcome &);

}  // namespace pipes::cli
