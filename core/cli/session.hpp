#pragma once
// What every verb that runs steps has in common.
#include "core/base/error.hpp"
#include "core/cli/session_options.hpp"
#include "core/plan/plan.hpp"
#include "core/plan/steps.hpp"
#include "core/run/resumption.hpp"
#include "core/run/scheduler.hpp"
#include "core/run/zygote.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pipes::cli {

/// How a run begins, where that is not at the beginning.
struct Start {
  Choice choice;                // of the steps
  std::optional<PastRun> past;  // the run that this one goes on with
};

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
  SecretNeed secrets_;
  bool has_read_ = false;
  PluginRegistry plugins_;
};

/// What an invalid file makes `pipe` exit with: plugin, if plugins are all that is wrong.
Exit invalid_code(const Diagnostics &);
/// Where a pipeline file is: as named, or else under that name in the folder that is installed with `pipe`,
/// so that `pipelines/registry.toml` is one everywhere.
std::string pipeline_file(const std::string &named);
/// The one file that a verb takes.
std::string one_file(const Arguments &);
/// The exit code of a run.
int exit_code(const RunOutcome &);

}  // namespace pipes::cli
