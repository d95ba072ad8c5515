#include "core/cli/ci_job.hpp"

#include "core/base/error.hpp"
#include "core/base/value.hpp"
#include "core/plan/settings.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace pipes::cli {
namespace {

/// A string of YAML. What is one in JSON is one there.
std::string text(const std::string &value) {
  return to_json(Value(value));
}

/// Text in which GitHub finds no expression of its own.
std::string without_expressions(std::string_view from) {
  constexpr std::string_view kBegin = "${{";
  std::string out;
  for (std::size_t at = 0; (at = from.find(kBegin)) != std::string_view::npos;) {
    out.append(from.substr(0, at)).append("${{ '${{' }}");
    from.remove_prefix(at + kBegin.size());
  }
  return out.append(from);
}

std::string words_of(const Arguments &args, const std::vector<const char *> &options) {
  std::string out;
  for (const char *name : options) {
    for (const std::string &value : args.values(name)) {
      if (value.find_first_of("\r\n") != std::string::npos) {
        throw Error(Exit::usage, fmt::format("`--{}` has several lines, which a job cannot be given", name),
                    name == std::string_view("install") ? "give it several times, a command each"
                                                        : "put the value into a file, for --var-file");
      }
      out += fmt::format(" --{} {}", name, shell_word(value));
    }
  }
  return out;
}

/// Files are named as the job finds them: from the top of what is checked out.
void reject_outside(const std::string &file) {
  const std::filesystem::path path(file);
  if (path.is_relative() && *path.lexically_normal().begin() != "..") return;
  throw Error(Exit::usage, fmt::format("{} is not below this folder, and a job would not find it", file),
              "call `pipe export` at the top of the repository");
}

void add(std::vector<std::string> &names, const std::string &name) {
  if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(name);
}

std::string header(const CiJob &job) {
  return fmt::format(
      "# Written by `{}`.\n# To change it, change the words of that command; with --check behind them, it "
      "says "
      "whether this file is stale.\n",
      job.command);
}

std::string report(const CiJob &job, std::string_view kinds) {
  return fmt::format("pipe run {}{}{}", shell_word(job.file), job.words, kinds);
}

std::string check(const CiJob &job) {
  return fmt::format("pipe check {}{}", shell_word(job.file), job.words);
}

}  // namespace

CiJob ci_job(const Pipeline &pipeline, const Arguments &args) {
  CiJob job;
  job.pipeline = pipeline.name;
  job.file = args.words()[1];
  reject_outside(job.file);
  for (const std::string &file : args.values("var-file")) reject_outside(file);
  job.install = args.values("install");
  job.image = args.value("image").value_or("");
  if (job.install.empty() && job.image.empty()) {
    throw Error(
        Exit::usage, "where does the job get `pipe` from?",
        "--install COMMAND brings it, --image IMAGE has it; a runner that has it: --install 'pipe version'");
  }
  job.words = words_of(args, {"set", "var-file"});
  job.command = fmt::format("pipe export {} {}{}", args.words()[0], shell_word(job.file),
                            words_of(args, {"set", "var-file", "image", "install", "to"}));
  job.written = args.value("to").value_or("");
  for (const Variable &variable : pipeline.variables) add(job.variables, variable.env);
  for (const SecretDeclaration &secret : pipeline.secrets) {
    for (const SecretSource &source : secret.from) {
      if (source.kind == SecretSource::Kind::env) add(job.secrets, source.name);
      if (source.kind == SecretSource::Kind::file) add(job.files, source.name);
    }
  }
  std::erase_if(job.variables,
                [&](const std::string &name) { return std::ranges::count(job.secrets, name) > 0; });
  for (const Tree::Key &key : pipeline.outputs.keys) job.outputs.push_back(key.name);
  return job;
}

std::string github_workflow(const CiJob &job) {
  const auto safe = [](const std::string &value) { return text(without_expressions(value)); };
  std::string out = header(job) + fmt::format("name: {}\n\non:\n  workflow_dispatch:\n  push:\n    paths:\n",
                                              safe(job.pipeline));
  out += fmt::format("      - {}\n", text(job.file));
  if (!job.written.empty()) out += fmt::format("      - {}\n", text(job.written));
  out += fmt::format(
      "\npermissions:\n  contents: read\n\n# One run at a time, and none is ended half-way.\n"
      "concurrency:\n  group: {}\n  cancel-in-progress: false\n\njobs:\n  pipe:\n",
      safe("pipe-" + job.pipeline));
  out +=
      "    # A push to another branch runs nothing.\n"
      "    if: github.event_name != 'push' || github.ref_name == github.event.repository.default_branch\n"
      "    runs-on: ubuntu-latest\n";
  if (!job.image.empty()) out += fmt::format("    container: {}\n", safe(job.image));
  if (!job.outputs.empty()) out += "    outputs:\n";
  for (const std::string &output : job.outputs)
    out += fmt::format("      {0}: ${{{{ steps.run.outputs.{0} }}}}\n", output);
  out += "    steps:\n      - uses: actions/checkout@v4\n";
  if (!job.install.empty()) out += "      - name: Install pipe\n        run: |\n";
  for (const std::string &command : job.install) out += fmt::format("          {}\n", command);
  out += fmt::format("      - name: Check\n        run: {}\n", safe(check(job)));
  out += fmt::format("      - id: run\n        name: Run\n        run: {}\n",
                     safe(report(job, " --report html=pipe-report.html")));
  if (!job.variables.empty() || !job.secrets.empty()) out += "        env:\n";
  for (const std::string &name : job.variables)
    out += fmt::format("          {0}: ${{{{ vars.{0} }}}}\n", name);
  for (const std::string &name : job.secrets)
    out += fmt::format("          {0}: ${{{{ secrets.{0} }}}}\n", name);
  for (const std::string &file : job.files)
    out += "        # A secret may be read from the file " + file + "\n";
  return out +
         fmt::format(
             "      - if: always()\n        uses: actions/upload-artifact@v4\n        with:\n"
             "          name: {}\n          path: pipe-report.html\n          if-no-files-found: ignore\n",
             safe("pipe-" + job.pipeline));
}

std::string gitlab_job(const CiJob &job) {
  std::string out = header(job);
  const auto needed = [&out](std::string_view what, const std::vector<std::string> &names) {
    for (const std::string &name : names) out += fmt::format("# {} {}\n", what, name);
  };
  if (!job.variables.empty() || !job.secrets.empty() || !job.files.empty())
    out += "# What the project's CI/CD variables may or have to give:\n";
  needed("  variable:", job.variables);
  needed("  masked variable:", job.secrets);
  needed("  secret file:", job.files);
  out += fmt::format("{}:\n", text("pipe-" + job.pipeline));
  if (!job.image.empty()) out += fmt::format("  image: {}\n", text(job.image));
  out += "  rules:\n    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n      changes:\n";
  out += fmt::format("        - {}\n", text(job.file));
  if (!job.written.empty()) out += fmt::format("        - {}\n", text(job.written));
  out += "    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n      when: manual\n      allow_failure: true\n";
  out += fmt::format(
      "  # One run at a time, and none is ended half-way.\n  resource_group: {}\n"
      "  interruptible: false\n",
      text("pipe-" + job.pipeline));
  if (!job.install.empty()) out += "  before_script:\n";
  for (const std::string &command : job.install) out += fmt::format("    - {}\n", text(command));
  const std::string dotenv = job.outputs.empty() ? "" : " --report dotenv=pipe.env";
  out += fmt::format(
      "  script:\n    - {}\n    - {}\n", text(check(job)),
      text(report(job, " --report junit=pipe-junit.xml --report html=pipe-report.html" + dotenv)));
  out +=
      "  artifacts:\n    when: always\n    paths:\n      - pipe-report.html\n    reports:\n      junit: "
      "pipe-junit.xml\n";
  if (!job.outputs.empty()) out += "      dotenv: pipe.env\n";
  return out;
}

}  // namespace pipes::cli
