#include "core/cli/github_output.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <random>

namespace pipes::cli {

std::string github_output(const Value::Map &outputs, const std::string &delimiter) {
  std::string text;
  for (const auto &[name, value] : outputs) {
    // Always the form for several lines: no value can then pass for another output.
    text += fmt::format("{}<<{}\n{}\n{}\n", name, delimiter, to_text(value), delimiter);
  }
  return text;
}

void write_github_output(const Value::Map &outputs) {
  const char *path = std::getenv("GITHUB_OUTPUT");
  if (path == nullptr || *path == '\0' || outputs.empty()) return;
  std::random_device random;
  const std::string delimiter = fmt::format("pipe_{:08x}{:08x}{:08x}", random(), random(), random());
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << github_output(outputs, delimiter) << std::flush;
  if (!file) {
    throw Error(Exit::step_failed, fmt::format("cannot write the outputs to {} (GITHUB_OUTPUT)", path),
                "the steps themselves have succeeded");
  }
}

}  // namespace pipes::cli
