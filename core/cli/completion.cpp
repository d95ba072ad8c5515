#include "core/cli/completion.hpp"

#include "core/cli/print.hpp"

#include <algorithm>
#include <string_view>

namespace pipes::cli {

Completions complete_verb(Verbs verbs) {
  Completions found;
  for (const Verb *verb : verbs) {
    const std::string name = verb->name;
    found.add(name.substr(name.rfind(' ') + 1), verb->summary);
  }
  return found;
}

const Option *open_option(const std::vector<Option> &options, const Words &words) {
  if (words.size() < 2 || !words[words.size() - 2].starts_with("--")) return nullptr;
  const auto at = std::ranges::find(options, words[words.size() - 2].substr(2), &Option::name);
  return at == options.end() || at->argument.empty() || at->optional_argument ? nullptr : &*at;
}

Completions complete_value(const Option &option) {
  Completions found;
  for (const std::string &choice : option.choices) found.add(choice);
  const std::string &argument = option.argument;
  found.files = argument == "FILE" || argument == "DIR" || argument == "PATH";
  return found;
}

Completions complete_name(const std::vector<Option> &options) {
  Completions found;
  for (const Option &option : options) found.add("--" + option.name, option.help);
  found.add("--help", "Show this");
  return found;
}

void print_completions(const Completions &found, const std::string &word) {
  std::string text;
  for (const auto &[candidate, meaning] : found.words) {
    if (!candidate.starts_with(word)) continue;
    text += candidate;
    if (!meaning.empty()) text += "\t" + meaning.substr(0, meaning.find('\n'));
    text += "\n";
  }
  if (found.files) text += ":files\n";
  print(text);
}

}  // namespace pipes::cli
