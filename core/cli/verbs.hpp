#pragma once
#include "core/cli/options.hpp"

#include <span>
#include <string>
#include <vector>

namespace pipes::cli {

using Words = std::vector<std::string>;

/// One verb of the command line: a file of its own in this folder.
struct Verb {
  const char *name;
  const char *usage;    // the words after `pipe NAME`
  const char *summary;  // one line
  const char *about;    // for `pipe help NAME`
  std::vector<Option> (*options)();
  int (*run)(const Words &);
};

extern const Verb kRun, kPlan, kCheck, kStep, kPlugins, kDown, kHelp, kVersion;

std::span<const Verb *const> verbs();
/// nullptr: there is none of that name.
const Verb *find_verb(const std::string &name);
/// Throws Error{Exit::usage}, with what may have been meant.
[[noreturn]] void reject_verb(const std::string &name);

/// Parses a verb's words; prints its help and gives nothing if they ask for it.
std::optional<Arguments> arguments(const Verb &, const Words &);
std::string help_text(const Verb &);

}  // namespace pipes::cli
