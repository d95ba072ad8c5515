#include "core/cli/man.hpp"
#include "core/cli/print.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>

namespace pipes::cli {
namespace {

constexpr const char *kSummary =
    "sets up and runs private image registries, and moves images into and between them";
constexpr const char *kExamples =
    "A registry on this machine:     pipe run pipelines/registry.toml\n"
    "One step, as in a CI stage:     pipe step push --image localhost:5000/app:1\n"
    "Help for a verb, or for a step: pipe help run, pipe step push --help\n";

std::string overview() {
  return fmt::format("{}\nusage: pipe VERB …\n\n{}\n{}", help_paragraphs(fmt::format("pipe {}.", kSummary)),
                     list_text(verbs()), kExamples);
}

int run(const Words &words) {
  const auto parsed = arguments(kHelp, words);
  if (!parsed) return 0;
  if (const auto folder = parsed->value("man")) {
    std::string examples = "  " + std::string(kExamples);
    for (std::size_t at = 0; (at = examples.find('\n', at)) + 1 < examples.size();)
      examples.insert(++at, "  ");
    write_man_pages(*folder, {"pipe", kSummary, examples}, verbs());
    return 0;
  }
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

const Verb kHelp{
    "help",
    "[VERB …] [--man DIR]",
    "Explain a verb",
    "Explains a verb, `step NAME` or `image VERB`; without one, lists them.",
    [] {
      return std::vector<Option>{{"man", "DIR", "Write a manual page for each verb into the folder"}};
    },
    run};

}  // namespace pipes::cli
