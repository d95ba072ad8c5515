#include "core/base/error.hpp"
#include "core/cli/ci.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  std::vector<Option> all = input_options();
  all.push_back({"format",
                 "FORM",
                 "human, json, or github (with annotations; the default in a job of GitHub)",
                 false,
                 {"human", "json", "github"}});
  all.push_back({"plugin-path", "DIR", "Look for plugins here first; may be given several times"});
  return all;
}

int run(const Words &words) {
  const auto args = arguments(kCheck, words);
  if (!args) return 0;
  const std::string format = args->value("format").value_or(ci_service() == Ci::github ? "github" : "human");
  if (args->words().empty()) throw Error(Exit::usage, "which pipeline files?", "`--help` shows an example");

  PluginRegistry plugins = registry(*args);
  Diagnostics all;
  bool valid = true;
  for (const std::string &named : args->words()) {
    const std::string file = pipeline_file(named);
    PlanOutcome outcome = make_plan(file, inputs(*args), plugins, SecretNeed::placeholder);
    valid = valid && outcome.plan.has_value();
    all.insert(all.end(), outcome.diagnostics.begin(), outcome.diagnostics.end());
    if (format != "json" && outcome.diagnostics.empty() && outcome.plan)
      print(fmt::format("{}: fine\n", file));
  }
  if (format == "json") {
    print(render_json(all) + "\n");
  } else {
    print_diagnostics(all, format == "github" ? Ci::github : Ci::none);
  }
  return static_cast<int>(valid ? Exit::done : invalid_code(all));
}

}  // namespace

const Verb kCheck{
    "check",
    "FILE… [--format json|github]",
    "Check pipeline files, and run nothing",
    "Finds everything that is wrong with pipeline files in one pass: keys, types, variables, references\n"
    "to outputs, plugins that are missing or cannot be used. Secrets need not be there.\n\n"
    "  pipe check pipelines/*.toml",
    options,
    run};

}  // namespace pipes::cli
