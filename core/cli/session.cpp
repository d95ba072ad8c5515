#include "core/cli/session.hpp"

#include "core/base/error.hpp"
#include "core/base/prefix.hpp"
#include "core/cli/audience.hpp"
#include "core/cli/ci.hpp"
#include "core/cli/print.hpp"
#include "core/cli/record.hpp"
#include "core/plan/settings.hpp"
#include "core/run/environment.hpp"
#include "core/run/inline_runner.hpp"
#include "core/run/preload.hpp"
#include "core/run/process_runner.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <random>
#include <system_error>

namespace pipes::cli {
namespace {

/// The results of the steps that are left out, as far as earlier runs left them. Throws Error.
std::vector<NodeResult> remembered_results(const Plan &plan, const Chosen &chosen, const Memory &memory) {
  return earlier_results(plan, chosen, [&](const std::string &step) {
    Value::Map kept = memory.outputs(step);
    return has_masked(kept) ? Value::Map() : kept;
  });
}

/// What a run is told, for whoever goes on with it.
Value::Map description(const std::string &id, const std::string &file, const SessionOptions &options,
                       const Value::Map &settings, const Start &start) {
  Value::Map about;
  const auto list = [&about](const char *name, const std::vector<std::string> &words) {
    if (!words.empty()) about.emplace_back(name, Value::List(words.begin(), words.end()));
  };
  if (!id.empty()) about.emplace_back("id", id);
  std::error_code none;
  about.emplace_back("folder", std::filesystem::current_path(none).string());
  if (!file.empty()) about.emplace_back("file_hash", file_hash(file));
  if (!settings.empty()) about.emplace_back("settings", settings);
  list("plugin_path", options.plugin_path);
  list("from", start.choice.from);
  list("only", start.choice.only);
  if (start.past) about.emplace_back("resumes", start.past->id);
  return about;
}

/// What goes on with a run that did not end well; its journal has the settings, but for those that held a
/// secret.
std::string go_on_command(const SessionOptions &options, const Plan &plan, const Value::Map &settings,
                          const std::string &id) {
  if (options.single_step || options.operation == Operation::plan || options.dry_run) return {};
  if (options.operation == Operation::undo) {
    return down_command(plan.file, settings) + (options.undo_data ? " --data" : "");
  }
  std::string command = "pipe run --resume " + id;
  for (const auto &[name, value] : settings) {
    if (has_masked({{name, value}})) command += fmt::format(" --set {}=VALUE", name);
  }
  return command;
}

void print_results(const SessionOptions &options, const Value::Map &outputs) {
  if (options.output != OutputMode::json) return print_outputs(outputs);
  if (!options.single_step) return;
  const std::string json = to_json(Value(outputs)) + "\n";
  print(ci_service() == Ci::github ? json_without_commands(json) : json);
}

}  // namespace

Session::Session(const SessionOptions &options) : options_(options) {
  if (options_.isolated) zygote_.emplace(Zygote::spawn());
}

RunOutcome Session::execute(const Plan &plan, Start start) {
  const Redactor redactor(plan.secret_values);
  if (zygote_) zygote_->prepare(variables_holding(plan.secret_values), libraries_to_preload(plan));
  const Value::Map settings = redactor.map(settings_of(plan));  // they get to disk
  const Clock clock;

  // What cannot be done as it was told is said before anything is.
  const Chosen chosen = chosen_nodes(plan, start.choice);
  Reports reports;
  for (const ReportOrder &order : options_.reports) reports.push_back(make_report(order));
  Record record(options_, plan, settings, redactor);
  std::vector<NodeResult> earlier;
  if (!chosen.empty()) earlier = remembered_results(plan, chosen, record.memory());
  record.begin(clock.wall());

  Audience audience(options_, redactor, record.folder(), std::move(reports));
  for (const std::string &warning : redactor.warnings()) audience.warn(clock, warning, "");
  if (!record.problem().empty())
    audience.warn(clock, "there will be no record of this run: " + record.problem(),
                  "set XDG_STATE_HOME to a folder that can be written to");

  Value::Map about = description(record.id(), plan.file, options_, settings, start);
  std::optional<Resumption> resumption;
  if (start.past)
    resumption.emplace(plan, std::move(*start.past),
                       [&](const Value::Map &map) { return redactor.map(map); });
  std::unique_ptr<StepRunner> runner;
  if (zygote_) {
    runner = std::make_unique<ProcessRunner>(*zygote_, record.memory());
  } else {
    runner = std::make_unique<InlineRunner>(record.memory());
  }
  std::minstd_rand generator(std::random_device{}());
  RunOptions how{.operation = options_.operation,
                 .jobs = options_.jobs,
                 .undo_data = options_.undo_data,
                 .dry_run = options_.dry_run,
                 .id = record.id(),
                 .about = std::move(about),
                 .chosen = chosen,
                 .earlier = std::move(earlier),
                 .resumption = resumption ? &*resumption : nullptr,
                 .grace = {},
                 .random = [&] { return std::uniform_real_distribution(0.0, 1.0)(generator); }};
  const RunOutcome outcome =
      Scheduler(plan, *runner, clock, audience.reporter(), record.memory(), std::move(how)).run();

  const bool went_well = outcome.status == "ok";
  record.end(outcome);
  audience.end(went_well ? "" : go_on_command(options_, plan, settings, record.id()));
  if (went_well && options_.operation == Operation::run) {
    print_results(options_, audience.outputs());
    write_github_output(audience.outputs());
  }
  return outcome;
}

PluginRegistry registry(const Arguments &arguments) {
  return registry(arguments.values("plugin-path"));
}

PluginRegistry registry(const std::vector<std::string> &plugin_paths) {
  for (const std::string &folder : plugin_paths) {
    std::error_code none;
    if (std::filesystem::is_directory(folder, none)) continue;
    throw Error(Exit::usage, fmt::format("`--plugin-path {}`: there is no such folder", folder),
                "name the folder that holds the pipe-NAME.so files");
  }
  return PluginRegistry(PluginRegistry::default_folders(plugin_paths));
}

Exit invalid_code(const Diagnostics &diagnostics) {
  const bool only_plugins = std::ranges::all_of(diagnostics, [](const Diagnostic &d) {
    return d.warning || d.id == "plugin" || d.id == "unknown-plugin";
  });
  return only_plugins ? Exit::plugin : Exit::invalid;
}

FileSession::FileSession(std::string file, Inputs inputs, const SessionOptions &options)
    : given(std::move(inputs)),
      session_(options),
      file_(std::move(file)),
      output_(options.output),
      secrets_(options.operation == Operation::undo ? SecretNeed::helpful : SecretNeed::needed),
      plugins_(registry(options.plugin_path)) {}

std::optional<Plan> FileSession::read() {
  PlanOutcome outcome = make_plan(file_, given, plugins_, secrets_);
  if (std::exchange(has_read_, true))  // its warnings were shown the first time
    std::erase_if(outcome.diagnostics, [](const Diagnostic &d) { return d.warning; });
  print_diagnostics(outcome.diagnostics, output_ == OutputMode::github ? Ci::github : Ci::none);
  if (!outcome.plan) code = static_cast<int>(invalid_code(outcome.diagnostics));
  return std::move(outcome.plan);
}

std::string pipeline_file(const std::string &named) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (named.empty() || fs::path(named).is_absolute() || fs::exists(named, error) || error) return named;
  const fs::path installed = install_prefix() / PIPE_DATADIR / "pipe" / named;
  return fs::is_regular_file(installed, error) ? installed.lexically_normal().string() : named;
}

std::string one_file(const Arguments &arguments) {
  if (arguments.words().size() == 1) {
    const std::string &named = arguments.words().front();
    std::string file = pipeline_file(named);
    if (file != named && !arguments.has("quiet"))
      print_error(fmt::format("{} is not here; taking {}\n", named, file));
    return file;
  }
  if (arguments.words().empty())
    throw Error(Exit::usage, "which pipeline file?", "`--help` shows an example");
  throw Error(Exit::usage,
              fmt::format("one pipeline file is expected, and `{}` is one too many", arguments.words()[1]));
}

int exit_code(const RunOutcome &outcome) {
  if (outcome.interrupt != 0) {
    return static_cast<int>(outcome.interrupt == SIGINT ? Exit::interrupted : Exit::terminated);
  }
  return static_cast<int>(outcome.status == "ok" ? Exit::done : Exit::step_failed);
}

}  // namespace pipes::cli
