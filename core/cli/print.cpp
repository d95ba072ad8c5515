#include "core/cli/print.hpp"

#include "core/report/text.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace pipes::cli {

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno == EPIPE) {
      return;  // whoever read it has seen enough
    } else if (errno != EINTR) {
      throw Error(Exit::step_failed, fmt::format("cannot write to standard output: {}", std::strerror(errno)),
                  "everything before that has been done");
    }
  }
}

void print_error(std::string_view text) {
  FdOut(STDERR_FILENO).write(text);
}

void print_error(const Error &error) {
  const Color color = colored(STDERR_FILENO) ? Color::on : Color::off;
  std::string text = fmt::format("{} {}\n", paint("error:", Tone::bad, color), printable(error.message));
  if (!error.hint.empty()) text += fmt::format("  hint: {}\n", printable(error.hint));
  print_error(text);
}

bool colored(int fd) {
  const auto variable = [](const char *name) {
    const char *value = std::getenv(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  if (!variable("NO_COLOR").empty()) return false;
  const std::string_view force = variable("CLICOLOR_FORCE"), term = variable("TERM");
  if (!force.empty() && force != "0") return true;
  return ::isatty(fd) == 1 && !term.empty() && term != "dumb";
}

}  // namespace pipes::cli
