#include "core/cli/ci.hpp"

#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/report/github.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <string_view>

namespace pipes::cli {
namespace {

bool is_true(const char *variable) {
  const char *text = std::getenv(variable);
  return text != nullptr && std::string_view(text) == "true";
}

/// Appends to the file that the variable names; true: there is none, or it is done.
bool append(const char *variable, const std::string &text) {
  const char *path = std::getenv(variable);
  if (path == nullptr || *path == '\0' || text.empty()) return true;
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << text << std::flush;
  return file.good();
}

}  // namespace

Ci ci_service() {
  if (is_true("GITHUB_ACTIONS")) return Ci::github;
  return is_true("GITLAB_CI") ? Ci::gitlab : Ci::none;
}

void print_diagnostics(const Diagnostics &diagnostics, Ci ci) {
  if (diagnostics.empty()) return;
  const std::string text = render_human(diagnostics, colored(STDERR_FILENO));
  print_error(ci == Ci::github ? without_commands(text) + annotations(diagnostics) : text);
}

void print_outputs(const Value::Map &outputs) {
  std::string text;
  for (const auto &[name, value] : outputs)
    text += fmt::format("{} = {}\n", printable(name), printable(to_text(value)));
  print(ci_service() == Ci::github ? without_commands(text) : text);
}

void write_github_output(const Value::Map &outputs) {
  // Always the form for several lines, with an end that nobody can guess: no value can pass for another
  // output.
  std::random_device random;
  const std::string end = fmt::format("pipe_{:08x}{:08x}{:08x}", random(), random(), random());
  std::string text;
  for (const auto &[name, value] : outputs)
    text += fmt::format("{0}<<{1}\n{2}\n{1}\n", name, end, to_text(value));
  if (append("GITHUB_OUTPUT", text)) return;
  throw Error(Exit::step_failed,
              fmt::format("cannot write the outputs to {} (GITHUB_OUTPUT)", std::getenv("GITHUB_OUTPUT")),
              "the steps themselves have succeeded");
}

void write_github_summary(const std::string &markdown) {
  if (append("GITHUB_STEP_SUMMARY", markdown)) return;
  print_error(fmt::format("warning: cannot write the summary to {} (GITHUB_STEP_SUMMARY)\n",
                          std::getenv("GITHUB_STEP_SUMMARY")));
}

}  // namespace pipes::cli
