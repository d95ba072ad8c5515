#include "core/base/error.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  std::vector<Option> all{{"exit-code", "", "Exit with 10 if there are changes"}};
  for (const auto &group : {input_options(), common_options()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

bool has_changes(const Counts &c) {
  return c.create + c.change + c.replace + c.remove + c.unknown > 0;
}

int run(const Words &words) {
  const auto args = arguments(kPlan, words);
  if (!args) return 0;
  const std::string file = one_file(*args);
  SessionOptions how = session_options(*args);
  how.operation = Operation::plan;

  Session session(how);  // before anything is read
  PluginRegistry plugins = registry(*args);
  int code = 0;
  const std::optional<Plan> plan = read_plan(file, inputs(*args), plugins, how.output, code);
  if (!plan) return code;
  const RunOutcome outcome = session.execute(*plan);
  code = exit_code(outcome);
  return code == 0 && args->has("exit-code") && has_changes(outcome.counts) ? static_cast<int>(Exit::changes)
                                                                            : code;
}

}  // namespace

const Verb kPlan{
    "plan",
    "FILE [--exit-code] [--set NAME=VALUE] …",
    "Say what `run` would change, step by step",
    "Asks every step what it would do, and changes nothing: up to date, create, change (field by field),\n"
    "replace, remove; unknown where it depends on steps that have not run.\n\n"
    "  pipe plan pipelines/registry.toml",
    options,
    run};

}  // namespace pipes::cli
