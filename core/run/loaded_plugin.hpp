#pragma once
// The plugins that are loaded into this process.
#include "core/run/message.hpp"

#include <pipe/plugin.h>

#include <string>

namespace pipes {

/// Why a plugin cannot do what it is asked.
struct LoadProblem {
  std::string message, hint;
};

/// Loads a plugin ahead: operations of it, here and in processes that are forked from this one, find it
/// loaded. False: it cannot be, which the operation will say in full. The library is never unloaded, as
/// some can't be.
bool load_plugin(const std::string &path);

/// Looks at what an operation of a plugin that is loaded begins with, so that its memory is there when one
/// comes.
void touch_plugins();

/// What does the order, of its plugin, which is loaded unless it is; nullptr: the step has no such operation.
/// Throws LoadProblem.
pipe_operation find_operation(const StepOrder &order);

}  // namespace pipes
