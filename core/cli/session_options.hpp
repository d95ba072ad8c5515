#pragma once
// What the verbs that run steps are told about how to run and show them.
#include "core/cli/options.hpp"
#include "core/plan/plan.hpp"
#include "core/report/report.hpp"
#include "core/report/text.hpp"
#include "core/run/message.hpp"

#include <string>
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

}  // namespace pipes::cli
