#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/step_options.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  return {{"dry-run", "", "Only say what would change"},
          {"quiet", "", "Only say what went wrong, and the outputs"},
          {"verbose", "", "Say every line of the step, with its time"},
          output_option("the outputs as a JSON object"),
          {"plugin-path", "DIR", "Look for plugins here first; may be given several times"},
          {"isolation",
           "MODE",
           "process, or none: run the step inside pipe itself, for debuggers",
           false,
           {"process", "none"}},
          {"help", "", "Show this"}};
}

/// --plugin-path has to be known before the plugin, and so its options, can be.
std::vector<std::string> plugin_paths(const Words &words) {
  constexpr std::string_view kOption = "--plugin-path";
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == kOption && i + 1 < words.size()) paths.push_back(words[i + 1]);
    if (words[i].starts_with("--plugin-path=")) paths.push_back(words[i].substr(kOption.size() + 1));
  }
  return paths;
}

PluginRegistry::Found find_step(PluginRegistry &plugins, const std::string &name) {
  PluginRegistry::Found found = plugins.find(name);
  if (!found.problem.empty()) throw Error(Exit::plugin, found.problem, found.hint);
  if (found.schema != nullptr) return found;
  const std::string close = did_you_mean(name, plugins.names());
  throw Error(Exit::plugin, fmt::format("there is no step `{}`", name),
              close.empty() ? "`pipe plugins list` shows the steps and where they are looked for" : close);
}

std::string step_help(const StepSchema &schema) {
  std::string text = fmt::format(
      "{}\n\n{}\nparameters:\n{}", wrapped_usage("step " + schema.step, step_usage(schema, options())),
      help_paragraphs(fmt::format("{} ({} {})", schema.help, schema.step, schema.version)),
      describe(step_options(schema, options())));
  if (!schema.outputs.empty()) text += "\noutputs:\n";
  std::vector<std::pair<std::string, std::string>> outputs;
  for (const Output &output : schema.outputs)
    outputs.emplace_back(output.name,
                         fmt::format("{} ({})", output.help, describe_type(output.type, output.item)));
  return text + explained(outputs) + "\noptions:\n" + describe(options());
}

int run(const Words &words) {
  if (words.empty()) throw Error(Exit::usage, "which step?", "`pipe plugins list` shows them");
  if (words.front().starts_with('-')) {
    if (!parse(options(), words).has("help")) throw Error(Exit::usage, "the name of the step comes first");
    print(help_text(kStep));
    return 0;
  }
  PluginRegistry plugins = registry(plugin_paths(words));
  const PluginRegistry::Found found = find_step(plugins, words.front());
  const StepSchema &schema = *found.schema;
  std::vector<Option> all = step_options(schema, options());
  for (const Option &option : options()) all.push_back(option);
  const Arguments args = parse(all, spelled(schema, options(), {words.begin() + 1, words.end()}));
  if (args.has("help")) {
    print(step_help(schema));
    return 0;
  }
  if (!args.words().empty()) {
    throw Error(
        Exit::usage, fmt::format("`{}` belongs to no option", args.words().front()),
        fmt::format("parameters are given as `--name value`; `pipe step {} --help` lists them", schema.step));
  }
  SessionOptions how = session_options(args);
  how.single_step = true;
  if (args.has("dry-run")) how.operation = Operation::plan;

  Session session(how);  // before a secret is read
  StepParams params = step_params(schema, options(), args);
  const Plan plan = single_step_plan(schema.step, found, std::move(params.values), std::move(params.secrets));
  return exit_code(session.execute(plan));
}

}  // namespace

const Verb kStep{
    "step",
    "NAME --parameter value …",
    "Run one step, as in a CI stage",
    "Runs one step with the parameters given as options; a list is given by repeating its option, a map\n"
    "as KEY=VALUE. `pipe step NAME --help` explains them. The outputs go to stdout and, in a GitHub\n"
    "job, to $GITHUB_OUTPUT.\n\n"
    "  pipe step push --image app:1.2 --to registry.lan:5000/app:1.2 --output json",
    [] {
      std::vector<Option> all = options();
      all.pop_back();  // --help is every verb's
      return all;
    },
    run};

}  // namespace pipes::cli
