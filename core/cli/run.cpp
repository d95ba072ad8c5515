#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  std::vector<Option> all{{"dry-run", "", "Only say what would change, as `pipe plan` does"}};
  for (const auto &group : {input_options(), common_options()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

int run(const Words &words) {
  const auto args = arguments(kRun, words);
  if (!args) return 0;
  const std::string file = one_file(*args);
  SessionOptions how = session_options(*args);
  if (args->has("dry-run")) how.operation = Operation::plan;

  Session session(how);  // before anything is read
  PluginRegistry plugins = registry(*args);
  int code = 0;
  const std::optional<Plan> plan = read_plan(file, inputs(*args), plugins, code);
  return plan ? exit_code(session.execute(*plan)) : code;
}

}  // namespace

const Verb kRun{
    "run",
    "FILE [--set NAME=VALUE] [--var-file FILE] [--dry-run] …",
    "Run a pipeline",
    "Runs the steps of a pipeline file. A step with nothing to do is `unchanged`, so running it again\n"
    "after a failure goes on where it stopped. Progress goes to stderr, the outputs of the pipeline to\n"
    "stdout. Ctrl-C once: start nothing more and ask what runs to stop; twice: kill it; three times: out.\n\n"
    "  pipe run pipelines/registry.toml\n"
    "  pipe run pipelines/registry.toml --set port=5001 --output plain",
    options,
    run};

}  // namespace pipes::cli
