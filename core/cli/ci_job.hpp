#pragma once
// The file of a CI service with a job that calls `pipe` for one pipeline, and no more than that.
#include "core/cli/options.hpp"
#include "core/pipeline/pipeline.hpp"

#include <string>
#include <vector>

namespace pipes::cli {

struct CiJob {
  std::string pipeline;                         // its name
  std::string file;                             // as the job finds it
  std::vector<std::string> install;             // commands, in order
  std::string image;                            // that the job runs in; empty: the service's own choice
  std::string words;                            // behind `pipe run FILE`, as a shell reads them
  std::string command;                          // that writes this file
  std::string written;                          // the file that it is written to; empty: not known
  std::vector<std::string> variables, secrets;  // of the environment, by name
  std::vector<std::string> files;               // that secrets are read from
  std::vector<std::string> outputs;
};

/// Throws Error{Exit::usage} for what cannot be said in such a file.
CiJob ci_job(const Pipeline &, const Arguments &);
/// A workflow of GitHub Actions. docs.github.com: Workflow syntax.
std::string github_workflow(const CiJob &);
/// To be included by a .gitlab-ci.yml. docs.gitlab.com: CI/CD YAML syntax reference.
std::string gitlab_job(const CiJob &);

}  // namespace pipes::cli
