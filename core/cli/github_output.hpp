#pragma once
#include "core/base/value.hpp"

namespace pipes::cli {

/// Appends outputs to the file that $GITHUB_OUTPUT names, if it does, for later steps of a GitHub job.
/// Throws Error if that file cannot be written.
void write_github_output(const Value::Map &outputs);
/// The text of it. `delimiter` must occur in no value.
std::string github_output(const Value::Map &outputs, const std::string &delimiter);

}  // namespace pipes::cli
