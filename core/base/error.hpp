#pragma once
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace pipes {

/// Exit codes of `pipe` (docs/reference/command-line.md).
enum class Exit : int {
  done = 0,
  step_failed = 1,
  usage = 2,
  invalid = 3,
  plugin = 4,
  changes = 10,
  interrupted = 130,
  terminated = 143
};

/// Ends what `pipe` was doing: what failed, on what, why; `hint` is what to do next.
class Error : public std::exception {
 public:
  explicit Error(Exit exit, std::string what_failed, std::string what_next = {})
      : code(exit), message(std::move(what_failed)), hint(std::move(what_next)) {}
  const char *what() const noexcept override { return message.c_str(); }
  Exit code;
  std::string message, hint;
};

}  // namespace pipes
