#include "core/cli/print.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

std::string overview() {
  return "pipe sets up and runs private image registries, and moves images into and between them.\n\n"
         "usage: pipe VERB …\n\n" +
         list_text(verbs()) +
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
  Words rest = parsed->words();
  const Verb *verb = find_verb(verbs(), rest.front());
  if (verb == nullptr) reject_verb(verbs(), rest.front(), "pipe help");
  // What stands behind the verb (a step, a verb of `image`) is explained by the verb.
  rest.erase(rest.begin());
  rest.emplace_back("--help");
  return verb->run(rest);
}

}  // namespace

const Verb kHelp{"help",
                 "[VERB …]",
                 "Explain a verb",
                 "Explains a verb, `step NAME` or `image VERB`; without one, lists them.",
                 [] { return std::vector<Option>(); },
                 run};

}  // namespace pipes::cli
