#include "core/cli/print.hpp"
#include "core/cli/verbs.hpp"

#include <fcntl.h>

#include <csignal>
#include <exception>

namespace {

/// A standard stream that the caller closed must not become the number of some file that is opened later.
void fill_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    // The lowest number that is free is the one that is given.
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", O_RDWR);  // NOLINT: it stays open, and in children
  }
}

}  // namespace

// pipe VERB WORD…: the words after the verb are the verb's own.
int main(int argc, char **argv) {
  using namespace pipes;
  using namespace pipes::cli;
  // A reader of our output that goes away must not end a run half-way.
  std::signal(SIGPIPE, SIG_IGN);
  fill_standard_streams();
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
