#include "core/cli/print.hpp"
#include "core/cli/verbs.hpp"

#include <csignal>
#include <exception>

// pipe VERB WORD…: the words after the verb are the verb's own.
int main(int argc, char **argv) {
  using namespace pipes;
  using namespace pipes::cli;
  // A reader of our output that goes away must not end a run half-way.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    Words words(argv + 1, argv + argc);
    if (words.empty()) return kHelp.run({}), static_cast<int>(Exit::usage);
    std::string name = words.front();
    words.erase(words.begin());
    if (name == "--version") name = "version";
    if (name == "--help" || name == "-h") name = "help";
    const Verb *verb = find_verb(name);
    if (verb == nullptr) reject_verb(name);
    return verb->run(words);
  } catch (const Error &error) {
    print_error(error);
    return static_cast<int>(error.code);
  } catch (const std::exception &error) {
    print_error(Error(Exit::step_failed, error.what()));
    return static_cast<int>(Exit::step_failed);
  }
}
