#include "core/cli/step_options.hpp"

#include "core/base/error.hpp"
#include "core/pipeline/variables.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace pipes::cli {
namespace {

std::string dashed(std::string name) {
  std::ranges::replace(name, '_', '-');
  return name;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '-' ? '_' : c;
  });
  return text;
}

std::string option_name(const Param &param, const std::vector<Option> &own) {
  const std::string name = dashed(param.name);
  return std::ranges::find(own, name, &Option::name) == own.end() ? name : "with-" + name;
}

bool is_multiple(const Param &param) {
  return param.type == Type::list || param.type == Type::map;
}

/// Never on the command line. A map's values may be: most of an environment is no secret, and what is goes
/// by its name alone.
bool is_hidden(const Param &param) {
  return param.secret && param.type != Type::map;
}

const char *variable(const std::string &option, const std::string &name) {
  const char *value = std::getenv(name.c_str());
  if (value == nullptr)
    throw Error(Exit::usage, fmt::format("`--{} {}`: there is no such environment variable", option, name));
  return value;
}

std::string secret_in(const std::string &path) {
  std::string why = "there is no such file";
  try {
    if (auto secret = read_secret_file(path)) return *std::move(secret);
  } catch (const Error &e) {
    why = e.message;
  }
  throw Error(Exit::usage, fmt::format("cannot read the secret in {}: {}", path, why));
}

/// What was given for a parameter, as text; empty: nothing. `secrets` gets what is not to be shown of it.
std::vector<std::string> given(const Param &param, const std::string &option, const Arguments &arguments,
                               std::vector<std::string> &secrets) {
  if (!is_hidden(param)) {
    std::vector<std::string> values = arguments.values(option);
    if (!param.secret) return values;
    for (std::string &text : values) {
      if (text.find('=') != std::string::npos) continue;
      secrets.emplace_back(variable(option, text));
      text += "=" + secrets.back();
    }
    return values;
  }
  std::vector<std::string> values;
  for (const std::string &path : arguments.values(option + "-file")) values.push_back(secret_in(path));
  for (const std::string &name : arguments.values(option + "-env"))
    values.emplace_back(variable(option + "-env", name));
  secrets.insert(secrets.end(), values.begin(), values.end());
  return values;
}

std::vector<Option> options_of(const Param &param, const std::vector<Option> &own) {
  const std::string name = option_name(param, own);
  if (!is_hidden(param))
    return {{name, argument_name(param), param_help(param), param.type == Type::boolean}};
  return {{name + "-file", "PATH", param_help(param) + ": the file that holds it"},
          {name + "-env", "NAME", "the environment variable that holds it"}};
}

}  // namespace

std::string argument_name(const Param &param) {
  if (param.type == Type::map) return param.secret ? "KEY[=VALUE]" : "KEY=VALUE";
  if (!param.choices.empty()) return "CHOICE";
  if (!param.format.empty()) return upper(param.format);
  const Type type = param.type == Type::list ? param.item : param.type;
  if (type == Type::boolean) return "true|false";
  return type == Type::string ? "TEXT" : upper(std::string(type_name(type)));
}

std::string param_help(const Param &param) {
  std::string notes;
  const auto note = [&notes](const std::string &text) { notes += (notes.empty() ? "" : "; ") + text; };
  if (param.required) note("required");
  if (is_multiple(param)) note("may be given several times");
  if (param.type == Type::map && param.secret) note("KEY alone takes the value from the environment");
  if (const std::string range = describe_range(param); !range.empty()) note(range);
  if (param.fallback && !is_empty(*param.fallback)) note("default: " + as_written(param, *param.fallback));
  if (!param.examples.empty()) note("for example " + param.examples.front());
  if (!param.since.empty()) note("since " + param.since);
  if (!param.deprecated.empty()) note("deprecated: " + param.deprecated);
  return notes.empty() ? param.help : fmt::format("{} ({})", param.help, notes);
}

std::vector<Option> step_options(const StepSchema &schema, const std::vector<Option> &own) {
  std::vector<Option> all;
  for (const Param &param : schema.params) {
    for (Option &option : options_of(param, own)) all.push_back(std::move(option));
  }
  return all;
}

std::string step_usage(const StepSchema &schema, const std::vector<Option> &own) {
  std::string usage;
  for (const Param &param : schema.params) {
    if (!param.required) continue;
    const Option first = options_of(param, own).front();
    usage += fmt::format("--{} {} ", first.name, first.argument);
  }
  return usage + "…";
}

std::vector<std::string> spelled(const StepSchema &schema, const std::vector<Option> &own,
                                 std::vector<std::string> words) {
  for (std::string &word : words) {
    if (word == "--") break;
    if (!word.starts_with("--")) continue;
    const std::size_t equals = word.find('=');
    std::string name = dashed(word.substr(2, equals == std::string::npos ? equals : equals - 2));
    for (const Param &param : schema.params) {
      const bool alias = std::ranges::any_of(param.aliases, [&](const auto &a) { return dashed(a) == name; });
      if (alias) name = option_name(param, own);
      if (is_hidden(param) && name == option_name(param, own)) {
        throw Error(Exit::usage, fmt::format("`--{}` would show a secret to everyone on this machine", name),
                    fmt::format("use `--{0}-file PATH` or `--{0}-env NAME`", name));
      }
    }
    word.replace(0, equals, "--" + name);
  }
  return words;
}

StepParams step_params(const StepSchema &schema, const std::vector<Option> &own, const Arguments &arguments) {
  StepParams result;
  std::vector<std::string> problems;
  for (const Param &param : schema.params) {
    const std::string option = option_name(param, own);
    const std::vector<std::string> texts = given(param, option, arguments, result.secrets);
    if (texts.empty()) {
      if (param.required) {
        problems.push_back(
            fmt::format("`--{}{}` is missing: {}", option, is_hidden(param) ? "-file" : "", param.help));
      } else if (param.fallback) {
        result.values.emplace_back(param.name, *param.fallback);
      }
      continue;
    }
    if (texts.size() > 1 && !is_multiple(param)) {
      problems.push_back(fmt::format("`--{}` is given {} times", option, texts.size()));
      continue;
    }
    Value value;
    if (const std::string wrong = coerce_text(param, texts, value); !wrong.empty()) {
      problems.push_back(fmt::format("`--{}` {}", option, wrong));
      continue;
    }
    result.values.emplace_back(param.name, std::move(value));
  }
  if (problems.empty()) return result;
  std::string message = fmt::format("step `{}`: ", schema.step);
  for (std::size_t i = 0; i < problems.size(); ++i) message += (i == 0 ? "" : "\n  ") + problems[i];
  throw Error(Exit::usage, message, fmt::format("`pipe step {} --help` lists its parameters", schema.step));
}

}  // namespace pipes::cli
