#include "core/cli/session_options.hpp"

#include "core/base/error.hpp"
#include "core/cli/display.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

namespace pipes::cli {
namespace {

int parse_jobs(const std::string &text) {
  int jobs = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), jobs);
  if (error != std::errc() || end != text.data() + text.size() || jobs < 1 || jobs > 512) {
    throw Error(Exit::usage, fmt::format("`--jobs {}`: expected a number from 1 to 512", text));
  }
  return jobs;
}

constexpr std::array<std::pair<const char *, OutputMode>, 5> kModes{{{"terminal", OutputMode::terminal},
                                                                     {"plain", OutputMode::plain},
                                                                     {"json", OutputMode::json},
                                                                     {"github", OutputMode::github},
                                                                     {"gitlab", OutputMode::gitlab}}};

OutputMode parse_mode(const std::optional<std::string> &text) {
  const auto *mode = std::ranges::find(kModes, text.value_or("auto"), &decltype(kModes)::value_type::first);
  return mode == kModes.end() ? automatic_mode() : mode->second;
}

bool parse_isolation(const Arguments &arguments) {
  const char *from_environment = std::getenv("PIPE_ISOLATION");
  const std::string text =
      arguments.value("isolation").value_or(from_environment == nullptr ? "process" : from_environment);
  if (text != "process" && text != "none") {
    throw Error(Exit::usage, fmt::format("PIPE_ISOLATION is `{}`: expected process or none", text));
  }
  return text == "process";
}

}  // namespace

Option output_option(const std::string &json) {
  Option option{
      "output",
      "MODE",
      fmt::format("auto, terminal, plain, json ({}), github or gitlab (folds and annotations of a job)",
                  json),
      false,
      {"auto"}};
  for (const auto &[name, mode] : kModes) option.choices.emplace_back(name);
  return option;
}

std::vector<Option> detail_options() {
  return {{"quiet", "", "Only say what went wrong, and how it ended"},
          {"verbose", "", "Say every line of every step, with its time"}};
}

std::vector<Option> common_options() {
  std::vector<Option> all = detail_options();
  const std::vector<Option> others{
      {"jobs", "N", "Run up to N steps at once (default: 4, or the number of CPUs if that is more)"},
      output_option("events as lines of JSON on stdout"),
      {"plugin-path", "DIR", "Look for plugins here first; may be given several times"},
      {"isolation",
       "MODE",
       "process, or none: run steps inside pipe itself, for debuggers",
       false,
       {"process", "none"}}};
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

std::vector<Option> input_options() {
  return {{"set", "NAME=VALUE", "Give a variable a value; may be given several times"},
          {"var-file", "FILE", "Read values of variables from a TOML file; may be given several times"}};
}

std::vector<Option> file_options(std::vector<Option> own) {
  for (const auto &group : {input_options(), common_options()})
    own.insert(own.end(), group.begin(), group.end());
  return own;
}

void reject_together(const Arguments &args, const char *one, const char *other) {
  if (!args.has(one) || !args.has(other)) return;
  throw Error(Exit::usage, fmt::format("`--{}` and `--{}` do not go together", one, other));
}

Detail parse_detail(const Arguments &arguments) {
  reject_together(arguments, "quiet", "verbose");
  return arguments.has("quiet") ? Detail::quiet : arguments.has("verbose") ? Detail::verbose : Detail::normal;
}

SessionOptions session_options(const Arguments &arguments) {
  SessionOptions options;
  options.jobs = std::max(4, static_cast<int>(std::thread::hardware_concurrency()));
  if (const auto jobs = arguments.value("jobs")) options.jobs = parse_jobs(*jobs);
  options.output = parse_mode(arguments.value("output"));
  options.detail = parse_detail(arguments);
  options.isolated = parse_isolation(arguments);
  options.plugin_path = arguments.values("plugin-path");
  return options;
}

Inputs inputs(const Arguments &arguments) {
  Inputs result;
  for (const std::string &text : arguments.values("set")) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(Exit::usage, fmt::format("`--set {}`: expected NAME=VALUE", text));
    }
    result.set.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  result.var_files = arguments.values("var-file");
  return result;
}

}  // namespace pipes::cli
