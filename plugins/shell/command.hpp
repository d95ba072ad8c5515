#pragma once
// Runs a command of the shell and reads what it prints.
#include <pipe/error.hpp>

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace shell {

struct Command {
  std::string script;                      // for /bin/sh -c
  std::string dir;                         // empty: where this process is
  std::map<std::string, std::string> env;  // on top of this process's own
};

enum class Stream { out, err };
/// Called with what was printed, as it comes.
using OnText = std::function<void(Stream, std::string_view text)>;

/// Runs it to its end and returns its exit code; 128 + n if signal n ended it. It gets a process group of
/// its own: all of the group is sent SIGTERM once `observer` is cancelled and SIGKILL two seconds later,
/// then Error{PIPE_E_CANCELLED} is thrown; and SIGKILL at once if this process dies. Its stdin is empty.
/// What it left running in the background with its output still open is not waited for.
int run_command(const Command &, pipes::sdk::Observer &observer, const OnText &);

}  // namespace shell
