#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  std::vector<Option> all{{"data", "", "Take data away, too: volumes and what is in them"}};
  for (const auto &group : {input_options(), common_options()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

int run(const Words &words) {
  const auto args = arguments(kDown, words);
  if (!args) return 0;
  const std::string file = one_file(*args);
  SessionOptions how = session_options(*args);
  how.operation = Operation::undo;
  how.undo_data = args->has("data");

  Session session(how);  // before anything is read
  PluginRegistry plugins = registry(*args);
  int code = 0;
  const std::optional<Plan> plan = read_plan(file, *args, plugins, code);
  return plan ? exit_code(session.execute(*plan)) : code;
}

}  // namespace

const Verb kDown{
    "down",
    "FILE [--data] …",
    "Take back what `run` made, but no data",
    "Undoes the steps of a pipeline, the last one first. Only what they made is taken away, never what\n"
    "was there before; data stays unless --data is given.\n\n"
    "  pipe down pipelines/registry.toml",
    options,
    run};

}  // namespace pipes::cli
