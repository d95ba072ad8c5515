#include "core/cli/verb.hpp"

#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/print.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace pipes::cli {
namespace {

std::string usage_text(const Verb &verb) {
  return fmt::format("usage: pipe {}{}{}", verb.name, *verb.usage == '\0' ? "" : " ", verb.usage);
}

}  // namespace

const Verb *find_verb(Verbs verbs, const std::string &name) {
  const auto at = std::ranges::find_if(verbs, [&](const Verb *verb) { return name == verb->name; });
  return at == verbs.end() ? nullptr : *at;
}

void reject_verb(Verbs verbs, const std::string &name, const std::string &lists_them) {
  std::vector<std::string> names;
  for (const Verb *verb : verbs) names.emplace_back(verb->name);
  const std::string close = did_you_mean(name, names);
  throw Error(Exit::usage, fmt::format("there is no verb `{}`", name),
              close.empty() ? fmt::format("`{}` lists them", lists_them) : close);
}

std::string list_text(Verbs verbs) {
  std::size_t widest = 0;
  for (const Verb *verb : verbs) widest = std::max(widest, std::string_view(verb->name).size());
  std::string text;
  for (const Verb *verb : verbs) text += fmt::format("  {:<{}}  {}\n", verb->name, widest, verb->summary);
  return text;
}

std::optional<Arguments> arguments(const Verb &verb, const Words &words) {
  std::vector<Option> options = verb.options();
  options.push_back({"help", "", "Show this"});
  Arguments parsed = parse(options, words);
  if (!parsed.has("help")) return parsed;
  print(help_text(verb));
  return std::nullopt;
}

const Words &words_of(const Arguments &arguments, const Verb &verb, std::size_t least, std::size_t most) {
  const Words &words = arguments.words();
  if (words.size() < least)
    throw Error(Exit::usage, fmt::format("`pipe {}` needs more words", verb.name), usage_text(verb));
  if (words.size() > most)
    throw Error(Exit::usage, fmt::format("`{}` is one word too many for `pipe {}`", words[most], verb.name),
                usage_text(verb));
  return words;
}

std::string help_text(const Verb &verb) {
  std::vector<Option> options = verb.options();
  options.push_back({"help", "", "Show this"});
  return fmt::format("{}\n\n{}\n\noptions:\n{}", usage_text(verb), verb.about, describe(options));
}

}  // namespace pipes::cli
