#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>

namespace pipes::cli {
namespace {

std::string overview() {
  std::string text =
      "pipe sets up and runs private image registries, and moves images into and between them.\n\n"
      "usage: pipe VERB …\n\n";
  for (const Verb *verb : verbs()) text += fmt::format("  {:<8}  {}\n", verb->name, verb->summary);
  return text +
         "\n"
         "A registry on this machine:     pipe run pipelines/registry.toml\n"
         "One step, as in a CI stage:     pipe step push --image app:1.2 --to registry.lan:5000/app:1.2\n"
         "Help for a verb, or for a step: pipe help run, pipe step push --help\n";
}

int run(const Words &words) {
  const auto parsed = arguments(kHelp, words);
  if (!parsed) return 0;
  if (parsed->words().empty()) {
    print(overview());
    return 0;
  }
  const Verb *verb = find_verb(parsed->words().front());
  if (verb == nullptr) reject_verb(parsed->words().front());
  print(help_text(*verb));
  return 0;
}

}  // namespace

const Verb kHelp{"help",
                 "[VERB]",
                 "Explain a verb",
                 "Explains a verb; without one, lists them.",
                 [] { return std::vector<Option>(); },
                 run};

}  // namespace pipes::cli
