#include "core/cli/print.hpp"

#include "core/report/text.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>

namespace pipes::cli {

void print(std::string_view text) {
  FdOut(STDOUT_FILENO).write(text);
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
  const char *no_color = std::getenv("NO_COLOR");
  const char *term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  return ::isatty(fd) == 1 && (no_color == nullptr || *no_color == '\0') && !dumb;
}

}  // namespace pipes::cli
