#include "core/base/error.hpp"
#include "core/cli/program.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

// pipe VERB WORD…: the words after the verb are the verb's own.
int run(Words words) {
  if (words.empty()) return kHelp.run({}), static_cast<int>(Exit::usage);
  std::string name = words.front();
  words.erase(words.begin());
  if (name == "--version") name = "version";
  if (name == "--help" || name == "-h") name = "help";
  const Verb *verb = find_verb(verbs(), name);
  if (verb == nullptr) reject_verb(verbs(), name, "pipe help");
  return verb->run(words);
}

}  // namespace
}  // namespace pipes::cli

int main(int argc, char **argv) {
  return pipes::cli::run_program(argc, argv, pipes::cli::run);
}
