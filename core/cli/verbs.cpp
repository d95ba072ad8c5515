#include "core/cli/verbs.hpp"

#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/print.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace pipes::cli {

std::span<const Verb *const> verbs() {
  static constexpr std::array kVerbs{&kRun, &kPlan, &kCheck, &kStep, &kDown, &kPlugins, &kHelp, &kVersion};
  return kVerbs;
}

const Verb *find_verb(const std::string &name) {
  const auto at = std::ranges::find_if(verbs(), [&](const Verb *verb) { return name == verb->name; });
  return at == verbs().end() ? nullptr : *at;
}

void reject_verb(const std::string &name) {
  std::vector<std::string> names;
  for (const Verb *verb : verbs()) names.emplace_back(verb->name);
  const std::string close = did_you_mean(name, names);
  throw Error(Exit::usage, fmt::format("there is no verb `{}`", name),
              close.empty() ? "`pipe help` lists them" : close);
}

std::optional<Arguments> arguments(const Verb &verb, const Words &words) {
  std::vector<Option> options = verb.options();
  options.push_back({"help", "", "Show this"});
  Arguments parsed = parse(options, words);
  if (!parsed.has("help")) return parsed;
  print(help_text(verb));
  return std::nullopt;
}

std::string help_text(const Verb &verb) {
  std::vector<Option> options = verb.options();
  options.push_back({"help", "", "Show this"});
  return fmt::format("usage: pipe {} {}\n\n{}\n\noptions:\n{}", verb.name, verb.usage, verb.about,
                     describe(options));
}

}  // namespace pipes::cli
