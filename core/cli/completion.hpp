#pragma once
// What could stand in the place of a word that is being typed: for shells.
#include "core/cli/verb.hpp"

#include <string>
#include <utility>
#include <vector>

namespace pipes::cli {

/// Words, each with what it means (may be empty), and whether names of files fit, too.
struct Completions {
  std::vector<std::pair<std::string, std::string>> words;
  bool files = false;

  void add(std::string word, std::string meaning = {}) {
    words.emplace_back(std::move(word), std::move(meaning));
  }
};

/// The names of verbs, without that of their group.
Completions complete_verb(Verbs);
/// The option that waits for the last word to be its value; nullptr: it is another kind of word.
const Option *open_option(const std::vector<Option> &, const Words &);
/// The values of an option: its choices, or files where it takes one.
Completions complete_value(const Option &);
Completions complete_name(const std::vector<Option> &);
/// Prints what begins with `word`, one a line with a tab before its meaning; `:files` is a line of its own.
void print_completions(const Completions &, const std::string &word);

}  // namespace pipes::cli
