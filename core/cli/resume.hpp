#pragma once
#include "core/cli/session.hpp"

namespace pipes::cli {

/// A run that is to go on: the same file, settings, plugins and choice of steps as it had.
struct Resumed {
  std::string file;
  Inputs inputs;
  std::vector<std::string> plugin_path;
  Start start;
};

/// The run that the words of `pipe run --resume` mean: that of a file, of an id or name (find_run), or the
/// last one there was. Changes to the folder that it was started in. Nothing, if it ended well: that is said.
/// Throws Error{Exit::usage} if there is none, or none that can go on.
std::optional<Resumed> resume(const Arguments &);

}  // namespace pipes::cli
