#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/describe_plugin.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  return {{"format", "FORM", "text, json or markdown", false, {"text", "json", "markdown"}},
          {"plugin-path", "DIR", "Look for plugins here first; may be given several times"}};
}

constexpr const char *kHint = "usage: pipe plugins list, or pipe plugins show NAME";

int list(PluginRegistry &plugins, const std::string &format) {
  if (format == "markdown") throw Error(Exit::usage, "`--format markdown` is for `pipe plugins show`");
  print(format == "json" ? plugins_json(plugins.all()) : plugins_text(plugins.all()));
  return 0;
}

int show(PluginRegistry &plugins, const std::string &name, const std::string &format) {
  const PluginRegistry::Found found = plugins.find(name);
  if (!found.problem.empty()) throw Error(Exit::plugin, found.problem, found.hint);
  if (found.schema == nullptr) {
    const std::string close = did_you_mean(name, plugins.names());
    throw Error(Exit::plugin, fmt::format("there is no step `{}`", name),
                close.empty() ? "`pipe plugins list` shows the steps and where they are looked for" : close);
  }
  if (format == "json") {
    print(step_json(*found.schema, found.path.string()));
  } else if (format == "markdown") {
    print(step_markdown(*found.schema));
  } else {
    print(step_text(*found.schema, found.path.string()));
  }
  return 0;
}

int run(const Words &words) {
  const auto args = arguments(kPlugins, words);
  if (!args) return 0;
  const std::string format = args->value("format").value_or("text");
  PluginRegistry plugins = registry(*args);
  const std::vector<std::string> &rest = args->words();
  if (rest.empty() || (rest.size() == 1 && rest[0] == "list")) return list(plugins, format);
  if (rest.size() == 2 && rest[0] == "show") return show(plugins, rest[1], format);
  if (rest[0] != "list" && rest[0] != "show") {
    const std::string close = did_you_mean(rest[0], {"list", "show"});
    throw Error(Exit::usage, fmt::format("there is no `pipe plugins {}`", rest[0]),
                close.empty() ? kHint : close);
  }
  throw Error(
      Exit::usage,
      fmt::format("`pipe plugins {}` takes {}", rest[0], rest[0] == "list" ? "no more words" : "one name"),
      kHint);
}

}  // namespace

const Verb kPlugins{
    "plugins",
    "[list | show NAME] [--format text|json|markdown]",
    "List the steps there are, or show one",
    "Lists every plugin with its place, and why one cannot be used; or shows the parameters and outputs\n"
    "of a step. No code of a plugin is run for it.\n\n"
    "  pipe plugins show push",
    options,
    run};

}  // namespace pipes::cli
