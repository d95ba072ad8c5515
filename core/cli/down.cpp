#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"
#include "core/plan/settings.hpp"
#include "core/run/known_settings.hpp"
#include "core/run/paths.hpp"
#include "core/run/redactor.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes::cli {
namespace {

constexpr std::size_t kShown = 5;  // of the settings that could be meant

std::vector<Option> options() {
  return file_options({{"data", "", "Take data away, too: volumes and what is in them"},
                       {"dry-run", "", "Only say what would be taken back"}});
}

/// Whether it has made something with these settings, or there is nothing else that could be meant.
bool is_known(const Plan &plan) {
  const KnownSettings known(memory_folder(plan.name, plan.file));
  return known.has(Redactor(plan.secret_values).map(settings_of(plan))) || known.standing().empty();
}

/// What takes those back, a line each.
std::string down_commands(const Plan &plan, const std::vector<KnownSettings::Standing> &standing) {
  std::string commands;
  for (std::size_t i = 0; i < std::min(kShown, standing.size()); ++i) {
    commands += "\n    " + down_command(plan.file, standing[i].settings);
    if (standing[i].only_data) commands += " --data   # only data is left";
  }
  if (standing.size() > kShown) commands += fmt::format("\n    and {} more", standing.size() - kShown);
  return commands;
}

/// After a default run that failed half-way and one with other settings, `down` is likely to mean both.
void tell_what_stands(const Plan &plan) {
  std::vector<KnownSettings::Standing> others = KnownSettings(memory_folder(plan.name, plan.file)).standing();
  const Value::Map own = Redactor(plan.secret_values).map(settings_of(plan));
  std::erase_if(others, [&](const auto &one) { return one.only_data || one.settings == own; });
  if (others.empty()) return;
  print_error(fmt::format("made with other settings, and still there:{}\n", down_commands(plan, others)));
}

/// The one thing that stands, if no settings were given that say otherwise. Anything else would take back
/// nothing, or half of what was made with other settings. Throws Error with what there is.
std::vector<std::pair<std::string, std::string>> only_settings(const Plan &plan) {
  const std::vector<KnownSettings::Standing> standing =
      KnownSettings(memory_folder(plan.name, plan.file)).standing();
  const std::string commands = down_commands(plan, standing);
  if (standing.size() > 1 || !settings_of(plan).empty()) {
    throw Error(
        Exit::usage,
        fmt::format("`{}` made nothing with these settings: there is nothing to take back", plan.name),
        "what stands was made with other settings; say which:" + commands);
  }
  print_error(fmt::format("{} with other settings than the defaults:{}\n",
                          standing.front().only_data ? "what is left was made" : "taking back what was made",
                          commands));
  std::vector<std::pair<std::string, std::string>> set;
  for (const auto &[name, value] : standing.front().settings) set.emplace_back(name, as_given(value));
  return set;
}

int run(const Words &words) {
  const auto args = arguments(kDown, words);
  if (!args) return 0;
  SessionOptions how = session_options(*args);
  how.operation = Operation::undo;
  how.undo_data = args->has("data");
  how.dry_run = args->has("dry-run");
  FileSession file(one_file(*args), inputs(*args), how);
  std::optional<Plan> plan = file.read();
  if (plan && !is_known(*plan)) {
    file.given.set = only_settings(*plan);
    plan = file.read();
  }
  if (!plan) return file.code;
  const int code = exit_code(file.execute(*plan));
  if (how.detail != Detail::quiet && how.output != OutputMode::json) tell_what_stands(*plan);
  return code;
}

}  // namespace

const Verb kDown{
    "down",
    "FILE [--data] [--dry-run] …",
    "Take back what `run` made, but no data",
    "Undoes the steps of a pipeline, each before those that it needs. Only what they made is taken away, "
    "never what\n"
    "was there before; data stays unless --data is given. What was made with other settings is taken back\n"
    "with the same --set words, --var-file and environment; if that is all there is, without them, too.\n\n"
    "  pipe down pipelines/registry.toml",
    options,
    run};

}  // namespace pipes::cli
