#pragma once
// A verb of the command line: what `pipe` and the program beside it have in common.
#include "core/cli/options.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::cli {

using Words = std::vector<std::string>;

struct Verb {
  const char *name;     // with the verb that it belongs to, if any: "image ls"
  const char *usage;    // the words after `pipe NAME`
  const char *summary;  // one line
  const char *about;    // for `pipe help NAME`
  std::vector<Option> (*options)();
  int (*run)(const Words &);
};
using Verbs = std::span<const Verb *const>;

/// nullptr: there is none of that name.
const Verb *find_verb(Verbs, const std::string &name);
/// Throws Error{Exit::usage}, with what may have been meant; `lists_them` is the command that shows them all.
[[noreturn]] void reject_verb(Verbs, const std::string &name, const std::string &lists_them);
/// Names and summaries, one a line.
std::string list_text(Verbs);

/// Parses a verb's words; prints its help and gives nothing if they ask for it.
std::optional<Arguments> arguments(const Verb &, const Words &);
/// The words that belong to no option. Throws Error{Exit::usage} if there are fewer or more than the verb
/// takes.
const Words &words_of(const Arguments &, const Verb &, std::size_t least, std::size_t most);
std::string help_text(const Verb &);
/// `usage: pipe NAME WORDS`, for `--help`
std::string wrapped_usage(const std::string &name, std::string_view words);
/// Text for `--help`: what is indented (examples) stays as it is, the rest is broken anew.
std::string help_paragraphs(std::string_view);

}  // namespace pipes::cli
