#pragma once
// What `pipe` does differently in a job of GitHub Actions or GitLab CI.
#include "core/base/diagnostic.hpp"
#include "core/base/value.hpp"

#include <string>

namespace pipes::cli {

enum class Ci { none, github, gitlab };
/// Whose job this is, as its runner says in the environment: GITHUB_ACTIONS=true, GITLAB_CI=true.
Ci ci_service();

/// Problems of a file to stderr; for GitHub also as annotations of the file.
void print_diagnostics(const Diagnostics &, Ci);
/// `name = value` to stdout, a line each. In a job of GitHub no value can be a command to its runner.
void print_outputs(const Value::Map &);

/// Appends outputs to the file that $GITHUB_OUTPUT names, if it does, for later steps of a GitHub job.
/// Throws Error if that file cannot be written.
void write_github_output(const Value::Map &outputs);
/// Appends Markdown to the page of the job that $GITHUB_STEP_SUMMARY names, if it does. That it cannot be
/// written is told, and fails nothing.
void write_github_summary(const std::string &markdown);

}  // namespace pipes::cli
