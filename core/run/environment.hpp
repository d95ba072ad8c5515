#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// Whether steps get the variable: those by which tools find their settings, nothing else of what the
/// caller's environment holds.
bool reaches_steps(std::string_view variable);
/// Drops every other variable from this process's environment, and wipes the memory that held it, so
/// that neither a step nor /proc/PID/environ shows it.
void keep_only_what_steps_get();
/// Drops and wipes one variable.
void forget_variable(const std::string &name);
/// The names of variables whose value is one of `values`.
std::vector<std::string> variables_holding(const std::vector<std::string> &values);

}  // namespace pipes
