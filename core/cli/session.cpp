#include "core/cli/session.hpp"

#include "core/base/error.hpp"
#include "core/cli/display.hpp"
#include "core/cli/print.hpp"
#include "core/plan/settings.hpp"
#include "core/report/explain.hpp"
#include "core/report/reporter.hpp"
#include "core/run/environment.hpp"
#include "core/run/inline_runner.hpp"
#include "core/run/known_settings.hpp"
#include "core/run/paths.hpp"
#include "core/run/preload.hpp"
#include "core/run/process_runner.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <random>
#include <system_error>
#include <thread>

namespace pipes::cli {
namespace {

/// Keeps the outputs of the run, or of its one step (masked, as everything behind the Reporter), to print
/// them at the end.
class OutputsKeeper final : public EventSink {
 public:
  explicit OutputsKeeper(Event::Type from) : from_(from) {}
  void on(const Event &event) override {
    if (event.type == from_) outputs = event.fields;
  }
  Value::Map outputs;

 private:
  Event::Type from_;
};

int parse_jobs(const std::string &text) {
  int jobs = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), jobs);
  if (error != std::errc() || end != text.data() + text.size() || jobs < 1 || jobs > 512) {
    throw Error(Exit::usage, fmt::format("`--jobs {}`: expected a number from 1 to 512", text));
  }
  return jobs;
}

constexpr std::array<std::pair<const char *, OutputMode>, 5> kModes{{{"terminal", OutputMode::terminal},
                                                                     {"plain", OutputMode::plain},
                                                                     {"json", OutputMode::json},
                                                                     {"github", OutputMode::github},
                                                                     {"gitlab", OutputMode::gitlab}}};

OutputMode parse_mode(const std::optional<std::string> &text) {
  const auto *mode = std::ranges::find(kModes, text.value_or("auto"), &decltype(kModes)::value_type::first);
  return mode == kModes.end() ? automatic_mode() : mode->second;
}

bool parse_isolation(const Arguments &arguments) {
  const char *from_environment = std::getenv("PIPE_ISOLATION");
  const std::string text =
      arguments.value("isolation").value_or(from_environment == nullptr ? "process" : from_environment);
  if (text != "process" && text != "none") {
    throw Error(Exit::usage, fmt::format("isolation `{}`: expected process or none", text));
  }
  return text == "process";
}

/// Waits until no other run of the pipeline is under way.
void lock(PipelineLock &held, const std::filesystem::path &folder, const Plan &plan) {
  held = PipelineLock::try_lock(folder);
  if (held.held()) return;
  print_error(fmt::format("another run of `{}` is under way; waiting for it to end\n", plan.name));
  held.wait();
}

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

Option output_option(const std::string &json) {
  Option option{
      "output",
      "MODE",
      fmt::format("auto, terminal, plain, json ({}), github or gitlab (folds and annotations of a job)",
                  json),
      false,
      {"auto"}};
  for (const auto &[name, mode] : kModes) option.choices.emplace_back(name);
  return option;
}

std::vector<Option> detail_options() {
  return {{"quiet", "", "Only say what went wrong, and how it ended"},
          {"verbose", "", "Say every line of every step, with its time"}};
}

std::vector<Option> common_options() {
  std::vector<Option> all = detail_options();
  const std::vector<Option> others{
      {"jobs", "N", "Run up to N steps at once (default: 4, or the number of CPUs if that is more)"},
      output_option("events as lines of JSON on stdout"),
      {"plugin-path", "DIR", "Look for plugins here first; may be given several times"},
      {"isolation", "MODE", "process, or none: run steps inside pipe itself, for debuggers"}};
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

std::vector<Option> input_options() {
  return {{"set", "NAME=VALUE", "Give a variable a value; may be given several times"},
          {"var-file", "FILE", "Read values of variables from a TOML file; may be given several times"}};
}

std::vector<Option> file_options(std::vector<Option> own) {
  for (const auto &group : {input_options(), common_options()})
    own.insert(own.end(), group.begin(), group.end());
  return own;
}

void reject_together(const Arguments &args, const char *one, const char *other) {
  if (!args.has(one) || !args.has(other)) return;
  throw Error(Exit::usage, fmt::format("`--{}` and `--{}` do not go together", one, other));
}

Detail parse_detail(const Arguments &arguments) {
  reject_together(arguments, "quiet", "verbose");
  return arguments.has("quiet") ? Detail::quiet : arguments.has("verbose") ? Detail::verbose : Detail::normal;
}

SessionOptions session_options(const Arguments &arguments) {
  SessionOptions options;
  options.jobs = std::max(4, static_cast<int>(std::thread::hardware_concurrency()));
  if (const auto jobs = arguments.value("jobs")) options.jobs = parse_jobs(*jobs);
  options.output = parse_mode(arguments.value("output"));
  options.detail = parse_detail(arguments);
  options.isolated = parse_isolation(arguments);
  options.plugin_path = arguments.values("plugin-path");
  return options;
}

Inputs inputs(const Arguments &arguments) {
  Inputs result;
  for (const std::string &text : arguments.values("set")) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(Exit::usage, fmt::format("`--set {}`: expected NAME=VALUE", text));
    }
    result.set.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  result.var_files = arguments.values("var-file");
  return result;
}

Session::Session(const SessionOptions &options) : options_(options) {
  if (options_.isolated) zygote_.emplace(Zygote::spawn());
}

RunOutcome Session::execute(const Plan &plan, Start start) {
  const Redactor redactor(plan.secret_values);
  if (zygote_) zygote_->prepare(variables_holding(plan.secret_values), libraries_to_preload(plan));

  // The state of the pipeline, where it has one.
  PipelineLock held;
  const Value::Map settings = redactor.map(settings_of(plan));  // they get to disk
  std::optional<KnownSettings> known;
  std::unique_ptr<Memory> memory = std::make_unique<NoMemory>();
  const Clock clock;
  std::filesystem::path folder;
  std::vector<Event> notices;
  const auto notice = [&](std::string message, std::string hint) {
    Event event;
    event.time = clock.wall();
    event.level = 3;
    event.message = std::move(message);
    event.hint = std::move(hint);
    notices.push_back(std::move(event));
  };
  for (const std::string &warning : redactor.warnings()) notice(warning, "");
  const auto no_record = [&](const std::string &why) {
    notice("there will be no record of this run: " + why,
           "set XDG_STATE_HOME to a folder that can be written to");
  };
  // What cannot be done as it was told is said before anything is.
  const Chosen chosen = chosen_nodes(plan, start.choice);
  std::vector<std::unique_ptr<Report>> reports;
  for (const ReportOrder &order : options_.reports) reports.push_back(make_report(order));
  std::vector<NodeResult> earlier;
  if (options_.operation != Operation::plan) {
    try {
      if (!options_.single_step) {
        const std::filesystem::path state = memory_folder(plan.name, plan.file);
        known.emplace(state);
        memory = std::make_unique<SettingsMemory>(state, known->folder(settings), redactor);
        if (!options_.dry_run) lock(held, state, plan);
        if (!chosen.empty()) earlier = remembered_results(plan, chosen, *memory);
        if (options_.operation == Operation::run) known->begin(settings);
      }
      if (!options_.dry_run)
        folder = make_run_folder(state_home(), options_.single_step ? "step-" + plan.name : plan.name,
                                 clock.wall());
    } catch (const std::filesystem::filesystem_error &e) {
      no_record(fmt::format("cannot create {}: {}", e.path1().string(), e.code().message()));
    } catch (const std::system_error &e) {
      no_record(e.what());
    }
    // Without a memory nothing is known, which is an error if anything is asked for.
    if (!chosen.empty() && earlier.empty()) earlier = remembered_results(plan, chosen, *memory);
  }

  // Who reads the events.
  Display display(options_);
  OutputsKeeper outputs(options_.single_step ? Event::Type::step_ended : Event::Type::run_ended);
  std::optional<Journal> journal;
  std::vector<EventSink *> sinks = display.sinks();
  sinks.push_back(&outputs);
  ExplainPrinter explained(display.err());
  Markdown summary;
  const bool has_summary = options_.output == OutputMode::github && !options_.single_step;
  if (has_summary) sinks.push_back(&summary);
  for (const std::unique_ptr<Report> &report : reports) sinks.push_back(report.get());
  if (options_.explain) sinks.push_back(&explained);
  if (!folder.empty()) sinks.push_back(&journal.emplace(folder));
  Reporter reporter(redactor, folder, sinks);
  for (const Event &event : notices) reporter.on(event);

  std::optional<Resumption> resumption;
  Value::Map about = description(folder.filename().string(), plan.file, options_, settings, start);
  if (start.past) {
    resumption.emplace(plan, std::move(*start.past),
                       [&](const Value::Map &map) { return redactor.map(map); });
  }

  std::unique_ptr<StepRunner> runner;
  if (zygote_) {
    runner = std::make_unique<ProcessRunner>(*zygote_, *memory);
  } else {
    runner = std::make_unique<InlineRunner>(*memory);
  }
  std::minstd_rand generator(std::random_device{}());
  RunOptions how{.operation = options_.operation,
                 .jobs = options_.jobs,
                 .undo_data = options_.undo_data,
                 .dry_run = options_.dry_run,
                 .id = folder.filename().string(),
                 .about = std::move(about),
                 .chosen = chosen,
                 .earlier = std::move(earlier),
                 .resumption = resumption ? &*resumption : nullptr,
                 .grace = {},
                 .random = [&] { return std::uniform_real_distribution(0.0, 1.0)(generator); }};
  const RunOutcome outcome = Scheduler(plan, *runner, clock, reporter, *memory, std::move(how)).run();

  const bool undone = options_.operation == Operation::undo && !options_.dry_run && outcome.status == "ok";
  if (known && undone && options_.undo_data) {
    known->end(settings);
  }
  if (has_summary) write_github_summary(summary.text());
  for (const std::unique_ptr<Report> &report : reports) {
    report->finish();
    for (const std::string &remark : report->remarks()) print_error("warning: " + remark + "\n");
  }
  if (outcome.status != "ok" && journal && options_.output != OutputMode::json) {
    const std::string next = go_on_command(options_, plan, settings, folder.filename().string());
    if (!next.empty()) print_error(fmt::format("go on with: {}\n", next));
  }
  if (journal && !journal->problem().empty()) {
    print_error(fmt::format("warning: the record of this run is incomplete: {}\n", journal->problem()));
  }
  display.check();
  if (outcome.status == "ok" && options_.operation == Operation::run) {
    print_results(options_, outputs.outputs);
    write_github_output(outputs.outputs);
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
      plugins_(registry(options.plugin_path)) {}

std::optional<Plan> FileSession::read() {
  PlanOutcome outcome = make_plan(file_, given, plugins_, true);
  print_diagnostics(outcome.diagnostics, output_ == OutputMode::github ? Ci::github : Ci::none);
  if (!outcome.plan) code = static_cast<int>(invalid_code(outcome.diagnostics));
  return std::move(outcome.plan);
}

std::string one_file(const Arguments &arguments) {
  if (arguments.words().size() == 1) return arguments.words().front();
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
