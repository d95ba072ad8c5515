#include "core/base/error.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  return file_options({{"exit-code", "", "Exit with 10 if there are changes"}});
}

bool has_changes(const Counts &c) {
  return c.create + c.change + c.replace + c.remove + c.unknown > 0;
}

int run(const Words &words) {
  const auto args = arguments(kPlan, words);
  if (!args) return 0;
  SessionOptions how = session_options(*args);
  how.operation = Operation::plan;
  FileSession file(one_file(*args), inputs(*args), how);
  const std::optional<Plan> plan = file.read();
  if (!plan) return file.code;
  const RunOutcome outcome = file.execute(*plan);
  const int code = exit_code(outcome);
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
