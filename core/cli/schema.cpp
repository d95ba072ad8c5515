#include "core/schema/json_schema.hpp"

#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  return {{"plugin-path", "DIR", "Look for plugins here first; may be given several times"}};
}

int run(const Words &words) {
  const auto args = arguments(kSchema, words);
  if (!args) return 0;
  words_of(*args, kSchema, 0, 0);
  PluginRegistry plugins = registry(*args);
  std::vector<StepSchema> steps;
  for (const PluginFile &file : plugins.all()) {
    if (!file.shadowed) steps.insert(steps.end(), file.steps.begin(), file.steps.end());
  }
  print(json_schema(steps));
  return 0;
}

}  // namespace

const Verb kSchema{
    "schema",
    "",
    "Print the JSON Schema of pipeline files, for editors",
    "Prints a JSON Schema (draft 2020-12) of pipeline files, with the parameters of every step that is\n"
    "installed. Editors complete and check by it.\n\n"
    "  pipe schema > pipe.schema.json",
    options,
    run};

}  // namespace pipes::cli
