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

std::string split_value(Words &words) {
  const std::size_t equals = words.empty() ? std::string::npos : words.back().find('=');
  if (equals == std::string::npos || !words.back().starts_with("--")) return {};
  const std::string stem = words.back().substr(0, equals + 1);
  std::string value = words.back().substr(equals + 1);
  words.back().resize(equals);
  words.push_back(std::move(value));
  return stem;
}

void prepend(Completions &found, const std::string &stem) {
  for (auto &[candidate, meaning] : found.words) candidate.insert(0, stem);
  if (found.files) found.files->insert(0, stem);
}

const Option *open_option(const std::vector<Option> &options, const Words &words, bool is_split) {
  if (words.size() < 2 || !words[words.size() - 2].starts_with("--")) return nullptr;
  const auto at = std::ranges::find(options, words[words.size() - 2].substr(2), &Option::name);
  if (at == options.end() || at->argument.empty() || (at->optional_argument && !is_split)) return nullptr;
  return &*at;
}

Words plain_words(const std::vector<Option> &options, const Words &words) {
  Words plain;
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const bool is_value = open_option(options, {words[i - 1], words[i]}) != nullptr;
    if (!is_value && !words[i].starts_with("--")) plain.push_back(words[i]);
  }
  return plain;
}

Completions complete_value(const Option &option) {
  Completions found;
  for (const std::string &choice : option.choices) found.add(choice);
  if (option.optional_argument) found.words = {{"true", ""}, {"false", ""}};
  const std::string &argument = option.argument;
  if (argument == "FILE" || argument == "DIR" || argument == "PATH") found.files.emplace();
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
  if (found.files) text += ":files" + *found.files + "\n";
  print(text);
}

}  // namespace pipes::cli
