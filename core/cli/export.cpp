// `pipe export`: a file of a CI service for a pipeline.
#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/ci.hpp"
#include "core/cli/ci_job.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace pipes::cli {
namespace {

struct Service {
  const char *name;
  std::string (*write)(const CiJob &);
};
constexpr std::array kServices{Service{"github", github_workflow}, Service{"gitlab", gitlab_job}};

std::vector<Option> options() {
  std::vector<Option> all{
      {"install", "COMMAND", "Brings `pipe` to the job; may be given several times, a command each"},
      {"image", "IMAGE", "The container image that the job runs in"},
      {"to", "FILE", "Write it there (default: standard output)"},
      {"check", "", "Write nothing; exit with 1 if what stands in the file of --to is stale"}};
  for (const Option &option : input_options()) all.push_back(option);
  all.push_back({"plugin-path", "DIR", "Look for plugins here first; may be given several times"});
  return all;
}

const Service &find_service(const Words &words) {
  std::vector<std::string> names;
  for (const Service &service : kServices) {
    if (!words.empty() && words[0] == service.name) return service;
    names.emplace_back(service.name);
  }
  if (words.empty()) throw Error(Exit::usage, "for which CI service?", "there is: github, gitlab");
  const std::string close = did_you_mean(words[0], names);
  throw Error(Exit::usage, fmt::format("there is no export for `{}`", words[0]),
              close.empty() ? "there is: github, gitlab" : close);
}

void write(const std::filesystem::path &file, const std::string &text) {
  std::error_code error;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw Error(Exit::usage, fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
}

/// The exit code: whether the file is what it would be if it were written now.
int compare(const std::string &file, const CiJob &job, const std::string &text) {
  std::ifstream in(file, std::ios::binary);
  const std::string found{std::istreambuf_iterator<char>(in), {}};
  if (in && found == text) return 0;
  std::string where = "it is not there";
  if (in) {
    const auto [here, there] = std::mismatch(found.begin(), found.end(), text.begin(), text.end());
    where = fmt::format("it differs from line {} on", 1 + std::count(found.begin(), here, '\n'));
  }
  print_error(Error(Exit::step_failed, fmt::format("{} is stale: {}", file, where),
                    "write it again: " + job.command));
  return static_cast<int>(Exit::step_failed);
}

int run(const Words &words) {
  const auto args = arguments(kExport, words);
  if (!args) return 0;
  const Service &service = find_service(args->words());
  if (args->words().size() < 2) throw Error(Exit::usage, "which pipeline file?", "`--help` shows an example");
  words_of(*args, kExport, 0, 2);
  const std::optional<std::string> to = args->value("to");
  if (args->has("check") && !to)
    throw Error(Exit::usage, "`--check` needs `--to`: the file that it looks at");

  const std::string &file = args->words()[1];
  PluginRegistry plugins = registry(*args);
  const PlanOutcome outcome = make_plan(file, inputs(*args), plugins, SecretNeed::placeholder);
  print_diagnostics(outcome.diagnostics, Ci::none);
  if (!outcome.plan) return static_cast<int>(invalid_code(outcome.diagnostics));
  Diagnostics said_already;
  const CiJob job = ci_job(read_pipeline(Source::read(file), said_already), *args);
  const std::string text = service.write(job);
  if (args->has("check")) return compare(*to, job, text);
  if (to) {
    write(*to, text);
    print(*to + "\n");
  } else {
    print(text);
  }
  return 0;
}

}  // namespace

const Verb kExport{
    "export",
    "github|gitlab FILE --install COMMAND [--to FILE] [--check]",
    "Write a CI job that runs a pipeline",
    "Writes a workflow of GitHub Actions, or a job to be included by .gitlab-ci.yml: it installs `pipe`, "
    "checks\n"
    "the pipeline, runs it and keeps its report. Variables and secrets that the pipeline reads from the\n"
    "environment are given to it by name. Call it at the top of the repository.\n\n"
    "  pipe export github registry.toml --install 'sudo apt-get install -y ./pipe.deb' \\\n"
    "    --to .github/workflows/registry.yml\n"
    "  pipe export gitlab registry.toml --image debian:12 --install 'apt-get install -y ./pipe.deb' \\\n"
    "    --to ci/registry.yml --check",
    options,
    run};

}  // namespace pipes::cli
