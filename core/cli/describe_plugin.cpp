#include "core/cli/describe_plugin.hpp"

#include "core/base/columns.hpp"
#include "core/cli/step_options.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes::cli {
namespace {

std::string type_text(const Param &param) {
  if (param.secret) return "secret";
  return describe_type(param.type, param.item);
}

/// The members that a parameter and an output have in common.
template <class Declared>
Value::Map described(const Declared &what) {
  Value::Map out{{"name", what.name}, {"type", type_name(what.type)}, {"help", what.help}};
  if (what.type == Type::list || what.type == Type::map) out.emplace_back("item", type_name(what.item));
  return out;
}

std::string names_of(const PluginFile &file) {
  std::string names;
  for (const StepSchema &step : file.steps) names += (names.empty() ? "" : ", ") + step.step;
  return names.empty() ? file.path.filename().string() : names;
}

/// Safe in a cell of a Markdown table.
std::string cell(const std::string &text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

Value texts(const std::vector<std::string> &list) {
  return Value::List(list.begin(), list.end());
}

Value describe(const Param &param) {
  Value::Map out = described(param);
  out.emplace_back("required", param.required);
  if (param.secret) out.emplace_back("secret", true);
  if (param.fallback) out.emplace_back("default", *param.fallback);
  if (!param.format.empty()) out.emplace_back("format", param.format);
  if (param.minimum) out.emplace_back("minimum", *param.minimum);
  if (param.maximum) out.emplace_back("maximum", *param.maximum);
  if (!param.pattern.empty()) out.emplace_back("pattern", param.pattern);
  if (!param.choices.empty()) out.emplace_back("choices", texts(param.choices));
  if (!param.examples.empty()) out.emplace_back("examples", texts(param.examples));
  if (!param.aliases.empty()) out.emplace_back("aliases", texts(param.aliases));
  if (!param.deprecated.empty()) out.emplace_back("deprecated", param.deprecated);
  if (!param.since.empty()) out.emplace_back("since", param.since);
  return out;
}

Value::Map describe(const StepSchema &schema) {
  Value::List params, outputs;
  for (const Param &param : schema.params) params.push_back(describe(param));
  for (const Output &output : schema.outputs) outputs.emplace_back(described(output));
  return {{"step", schema.step},         {"version", schema.version},
          {"help", schema.help},         {"abi", Value::List{schema.abi_major, schema.abi_minor}},
          {"plan", schema.has_plan},     {"undo", schema.has_undo},
          {"params", std::move(params)}, {"outputs", std::move(outputs)}};
}

/// What a pipeline would say: a value that reads like one.
std::string example(const Param &param) {
  std::string text = param.examples.empty() ? "" : param.examples.front();
  if (text.empty() && !param.choices.empty()) text = param.choices.front();
  const Type type = param.type == Type::list ? param.item : param.type;
  const bool quoted = type != Type::integer && type != Type::number && type != Type::boolean;
  if (text.empty()) text = quoted ? "…" : type == Type::boolean ? "true" : "1";
  if (param.type == Type::map) return text == "…" ? "{ KEY = \"VALUE\" }" : text;
  if (param.secret) text = "${secrets." + param.name + "}";
  if (quoted && !text.starts_with('[')) text = to_json(Value(text));
  return param.type == Type::list && !text.starts_with('[') ? "[" + text + "]" : text;
}

}  // namespace

std::string plugins_text(const std::vector<PluginFile> &files) {
  if (files.empty()) return "no plugin was found; --plugin-path and PIPE_PLUGIN_PATH say where to look\n";
  std::size_t widest = 0;
  for (const PluginFile &file : files) widest = std::max(widest, names_of(file).size());
  std::string out;
  for (const PluginFile &file : files) {
    const std::string version = file.steps.empty() ? "-" : file.steps.front().version;
    const std::string help = file.steps.empty() ? "" : file.steps.front().help;
    out += fmt::format("{:<{}}  {:<8}  {}\n", names_of(file), widest, version,
                       wrapped(help, kHelpColumns, widest + 12));
    if (file.shadowed)
      out +=
          fmt::format("{:<{}}  shadowed by one in an earlier folder: {}\n", "", widest, file.path.string());
    if (!file.problem.empty()) {
      out += fmt::format("{:<{}}  cannot be used: {}\n", "", widest, file.problem);
      if (!file.hint.empty()) out += fmt::format("{:<{}}  hint: {}\n", "", widest, file.hint);
    }
  }
  return out;
}

std::string plugins_json(const std::vector<PluginFile> &files) {
  Value::List all;
  for (const PluginFile &file : files) {
    Value::List steps;
    for (const StepSchema &step : file.steps) steps.emplace_back(describe(step));
    Value::Map out{{"path", file.path.string()}, {"steps", std::move(steps)}, {"shadowed", file.shadowed}};
    if (!file.problem.empty()) out.emplace_back("problem", file.problem);
    if (!file.hint.empty()) out.emplace_back("hint", file.hint);
    all.emplace_back(std::move(out));
  }
  return to_json(Value(std::move(all))) + "\n";
}

std::string step_json(const StepSchema &schema, const std::string &path) {
  Value::Map out = describe(schema);
  out.emplace_back("path", path);
  return to_json(Value(std::move(out))) + "\n";
}

std::string step_text(const StepSchema &schema, const std::string &path) {
  std::string out =
      fmt::format("{} {}  {}\n  {}\n  operations: {}run{}\n", schema.step, schema.version, schema.help, path,
                  schema.has_plan ? "plan, " : "", schema.has_undo ? ", undo" : "");
  std::size_t widest = 0, types = 0;
  for (const Param &param : schema.params) {
    widest = std::max(widest, param.name.size());
    types = std::max(types, type_text(param).size());
  }
  for (const Output &output : schema.outputs) {
    widest = std::max(widest, output.name.size());
    types = std::max(types, describe_type(output.type, output.item).size());
  }
  const auto row = [&](const std::string &name, std::string_view type, const std::string &help) {
    out += fmt::format("  {:<{}}  {:<{}}  {}\n", name, widest, type, types,
                       wrapped(help, kHelpColumns, widest + types + 6));
  };
  out += "\nparameters:\n";
  for (const Param &param : schema.params) row(param.name, type_text(param), param_help(param));
  out += "\noutputs:\n";
  for (const Output &output : schema.outputs) {
    row(output.name, describe_type(output.type, output.item), output.help);
  }
  return out;
}

std::string step_markdown(const StepSchema &schema) {
  std::string out =
      fmt::format("# {}\n\n{}.\n\n```toml\n[[step]]\nuses = \"{}\"\n", schema.step, schema.help, schema.step);
  for (const Param &param : schema.params) {
    if (param.required) out += fmt::format("with.{} = {}\n", param.name, example(param));
  }
  out += "```\n\n## Parameters\n\n";
  if (schema.params.empty()) out += "None.\n";
  if (!schema.params.empty()) out += "| name | type | meaning |\n|---|---|---|\n";
  for (const Param &param : schema.params) {
    out += fmt::format("| `{}` | {} | {} |\n", param.name, type_text(param), cell(param_help(param)));
  }
  out += "\n## Outputs\n\n";
  if (schema.outputs.empty()) out += "None.\n";
  if (!schema.outputs.empty()) out += "| name | type | meaning |\n|---|---|---|\n";
  for (const Output &output : schema.outputs) {
    out += fmt::format("| `{}` | {} | {} |\n", output.name, describe_type(output.type, output.item),
                       cell(output.help));
  }
  out += "\n## Operations\n\n";
  out += schema.has_plan ? "- `plan` says what would change, and changes nothing.\n"
                         : "- `plan` answers `unknown`: the step cannot tell before it runs.\n";
  out += "- `run` makes it so; `unchanged` if there was nothing to do.\n";
  out += schema.has_undo ? "- `undo` takes back what `run` made (`pipe down`, `rollback`).\n"
                         : "- `undo` does nothing: there is nothing to take back.\n";
  out += fmt::format(
      "\nVersion {}, plugin ABI {}.{}. This page is made by `pipe plugins show {} --format markdown`.\n",
      schema.version, schema.abi_major, schema.abi_minor, schema.step);
  return out;
}

}  // namespace pipes::cli
