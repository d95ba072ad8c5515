#pragma once
// What could stand in the place of a word that is being typed: for shells.
#include "core/cli/verb.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pipes::cli {

/// Words, each with what it means (may be empty). Where names of files fit, too, `files` is what stands
/// before such a name in the same word: nothing, or `html=`.
struct Completions {
  std::vector<std::pair<std::string, std::string>> words;
  std::optional<std::string> files{};

  void add(std::string word, std::string meaning = {}) {
    words.emplace_back(std::move(word), std::move(meaning));
  }
};

/// The names of verbs, without that of their group.
Completions complete_verb(Verbs);
/// Breaks a last word such as `--output=te` in two. Gives what stands before the value, `--output=`, which
/// belongs before each of its completions; nothing if it is another kind of word.
std::string split_value(Words &);
void prepend(Completions &, const std::string &stem);
/// The option that waits for the last word to be its value; nullptr: it is another kind of word. `is_split`:
/// it was one word with its option.
const Option *open_option(const std::vector<Option> &, const Words &, bool is_split = false);
/// The words before the last one that belong to no option, but for the first, the verb.
Words plain_words(const std::vector<Option> &, const Words &);
/// The values of an option: its choices, or files where it takes one.
Completions complete_value(const Option &);
Completions complete_name(const std::vector<Option> &);
/// Prints what begins with `word`, one a line with a tab before its meaning; `:files`, and what stands before
/// their names, is a line of its own.
void print_completions(const Completions &, const std::string &word);

}  // namespace pipes::cli
