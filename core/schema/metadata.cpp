#include "core/base/error.hpp"
#include "core/base/quantity.hpp"
#include "core/schema/schema.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace pipes {
namespace {

[[noreturn]] void refuse(const std::string &why) {
  throw Error(
      Exit::plugin, "the plugin's metadata is wrong: " + why,
      "whoever made the plugin has to correct it: the guide \"Write a plugin\" says what may stand there");
}

const Value *member(const Value &object, std::string_view key, Value::Kind kind, bool required = false) {
  const Value *value = object.find(key);
  if (value == nullptr || value->is_null()) {
    if (required) refuse(fmt::format("`{}` is missing", key));
    return nullptr;
  }
  if (value->kind() != kind) {
    refuse(fmt::format("`{}` is {}, not {}", key, with_article(std::string(kind_name(value->kind()))),
                       with_article(std::string(kind_name(kind)))));
  }
  return value;
}

std::string text(const Value &object, std::string_view key, bool required = false) {
  const Value *value = member(object, key, Value::Kind::string, required);
  return value == nullptr ? std::string() : value->as_string();
}

bool flag(const Value &object, std::string_view key) {
  const Value *value = member(object, key, Value::Kind::boolean);
  return value != nullptr && value->as_bool();
}

std::optional<std::int64_t> integer(const Value &object, std::string_view key) {
  const Value *value = member(object, key, Value::Kind::integer);
  return value == nullptr ? std::nullopt : std::optional(value->as_int());
}

std::vector<std::string> texts(const Value &object, std::string_view key) {
  std::vector<std::string> result;
  if (const Value *list = member(object, key, Value::Kind::list)) {
    for (const Value &item : list->as_list()) {
      if (!item.is_string()) refuse(fmt::format("`{}` holds {}, not strings", key, kind_name(item.kind())));
      result.push_back(item.as_string());
    }
  }
  return result;
}

Type type(const Value &object, std::string_view key, bool required) {
  const std::string name = text(object, key, required);
  if (name.empty()) return Type::string;
  const std::optional<Type> found = parse_type(name);
  if (!found) {
    throw Error(
        Exit::plugin,
        fmt::format("`{}` has the type `{}`, which this pipe does not know", text(object, "name"), name),
        "update pipe");
  }
  return *found;
}

/// A default is written as a person would write it, or as the plugin gets it: "2m" or 120000.
void set_fallback(Param &param, const Value &written) {
  if (written.is_null()) return;
  Value value = written;
  const bool is_ready = param.type == Type::duration && value.kind() == Value::Kind::integer;
  const std::string problem = is_ready ? std::string() : coerce(param, value);
  if (!problem.empty()) refuse(fmt::format("the default of `{}` {}", param.name, problem));
  param.fallback = std::move(value);
}

Param parse_param(const Value &object) {
  Param param;
  param.name = text(object, "name", true);
  param.help = text(object, "help");
  param.type = type(object, "type", true);
  param.item = type(object, "item", false);
  param.required = flag(object, "required");
  param.secret = flag(object, "secret");
  param.format = text(object, "format");
  param.minimum = integer(object, "minimum");
  param.maximum = integer(object, "maximum");
  param.pattern = text(object, "pattern");
  param.choices = texts(object, "choices");
  param.examples = texts(object, "examples");
  param.aliases = texts(object, "aliases");
  param.deprecated = text(object, "deprecated");
  param.since = text(object, "since");
  if (!param.pattern.empty()) {
    try {
      param.matcher = std::make_shared<const Pattern>(param.pattern);
    } catch (const Error &e) {
      refuse(fmt::format("the pattern of `{}`: {}", param.name, e.message));
    }
  }
  if (const Value *fallback = object.find("default")) set_fallback(param, *fallback);
  return param;
}

/// A name that no other parameter, or output, has: it becomes a key of pipelines, an option, part of `${…}`.
void check_name(const std::string &name, std::set<std::string> &taken) {
  const bool well_formed = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!well_formed) refuse(fmt::format("`{}` is no name: those are of a-z, 0-9 and _", name));
  if (!taken.insert(name).second) refuse(fmt::format("`{}` is declared twice", name));
}

void check_names(const StepSchema &step) {
  std::set<std::string> params, outputs;
  for (const Param &param : step.params) {
    check_name(param.name, params);
    for (const std::string &alias : param.aliases) check_name(alias, params);
  }
  for (const Output &output : step.outputs) check_name(output.name, outputs);
}

StepSchema parse_step(const Value &object) {
  if (object.kind() != Value::Kind::map) refuse("a step is not an object");
  if (const auto form = integer(object, "pipe"); form.value_or(1) != 1) {
    throw Error(Exit::plugin, fmt::format("its metadata is of form {}, and this pipe reads form 1", *form),
                "update pipe");
  }
  StepSchema step;
  step.step = text(object, "step", true);
  step.version = text(object, "version");
  step.help = text(object, "help");
  const Value *abi = member(object, "abi", Value::Kind::list, true);
  const auto is_number = [](const Value &v) {
    return v.kind() == Value::Kind::integer && v.as_int() >= 0 && v.as_int() <= 65535;
  };
  if (abi->as_list().size() != 2 || !std::all_of(abi->as_list().begin(), abi->as_list().end(), is_number)) {
    refuse("`abi` is not [major, minor]");
  }
  step.abi_major = static_cast<int>(abi->as_list()[0].as_int());
  step.abi_minor = static_cast<int>(abi->as_list()[1].as_int());
  const std::vector<std::string> operations = texts(object, "operations");
  step.has_plan = std::find(operations.begin(), operations.end(), "plan") != operations.end();
  step.has_undo = std::find(operations.begin(), operations.end(), "undo") != operations.end();
  if (const Value *params = member(object, "params", Value::Kind::list)) {
    for (const Value &param : params->as_list()) step.params.push_back(parse_param(param));
  }
  if (const Value *outputs = member(object, "outputs", Value::Kind::list)) {
    for (const Value &output : outputs->as_list()) {
      step.outputs.push_back({text(output, "name", true), text(output, "help"), type(output, "type", true),
                              type(output, "item", false)});
    }
  }
  check_names(step);
  return step;
}

}  // namespace

const Param *StepSchema::param(std::string_view wanted) const {
  const auto is_it = [&](const Param &p) {
    return p.name == wanted || std::find(p.aliases.begin(), p.aliases.end(), wanted) != p.aliases.end();
  };
  const auto found = std::find_if(params.begin(), params.end(), is_it);
  return found == params.end() ? nullptr : &*found;
}

const Output *StepSchema::output(std::string_view wanted) const {
  const auto found =
      std::find_if(outputs.begin(), outputs.end(), [&](const Output &o) { return o.name == wanted; });
  return found == outputs.end() ? nullptr : &*found;
}

std::vector<StepSchema> parse_metadata(std::string_view json) {
  std::vector<StepSchema> steps;
  // Each PIPE_PLUGIN of a file adds one text to the section, and each text ends with a NUL.
  while (!json.empty()) {
    const std::size_t end = std::min(json.find('\0'), json.size());
    const std::string_view one = json.substr(0, end);
    json.remove_prefix(std::min(end + 1, json.size()));
    if (one.empty()) continue;
    Value value;
    try {
      value = parse_json(one);
    } catch (const Error &e) {
      refuse(e.message);
    }
    if (value.kind() == Value::Kind::list) {
      for (const Value &step : value.as_list()) steps.push_back(parse_step(step));
    } else {
      steps.push_back(parse_step(value));
    }
  }
  if (steps.empty()) refuse("it names no step");
  return steps;
}

}  // namespace pipes
