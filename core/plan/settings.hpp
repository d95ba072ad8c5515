#pragma once
// The settings of a run: what its variables were given that is not their default.
#include "core/plan/plan.hpp"

#include <string>

namespace pipes {

/// The variables whose value is not their default, by name, in the order of the file.
Value::Map settings_of(const Plan::Impl &);
Value::Map settings_of(const Plan &);

/// One word as a shell reads it: quoted only where it has to be.
std::string shell_word(const std::string &);
/// A value as `--set NAME=…` reads it.
std::string as_given(const Value &);
/// The command line that takes back what `run` made of `file` with these settings, as a shell reads it:
/// `pipe down FILE --set NAME=VALUE …`.
std::string down_command(const std::string &file, const Value::Map &settings);

}  // namespace pipes
