#include "core/cli/program.hpp"

#include "core/base/error.hpp"
#include "core/cli/print.hpp"

#include <fcntl.h>

#include <csignal>
#include <exception>

namespace pipes::cli {
namespace {

/// A standard stream that the caller closed must not become the number of some file that is opened later.
void fill_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    // The lowest number that is free is the one that is given.
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", O_RDWR);  // NOLINT: it stays open, and in children
  }
}

}  // namespace

int run_program(int argc, char **argv, int (*body)(Words)) {
  // A reader of our output that goes away must not end a run half-way.
  std::signal(SIGPIPE, SIG_IGN);
  fill_standard_streams();
  try {
    return body(Words(argv + 1, argv + argc));
  } catch (const Error &error) {
    print_error(error);
    return static_cast<int>(error.code);
  } catch (const std::exception &error) {
    print_error(Error(Exit::step_failed, error.what()));
    return static_cast<int>(Exit::step_failed);
  }
}

}  // namespace pipes::cli
