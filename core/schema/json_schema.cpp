#include "core/schema/json_schema.hpp"

#include "core/base/quantity.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace pipes {
namespace {

using Json = nlohmann::ordered_json;

/// All but the steps' parameters. The keys are those of docs/reference/pipeline-file.md; a unit test holds
/// them to what the reader takes.
constexpr const char *kPipeline = R"json({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "pipe pipeline",
  "type": "object",
  "required": ["schema"],
  "additionalProperties": false,
  "properties": {
    "schema": {"const": 1, "description": "Version of this format"},
    "pipeline": {
      "type": "object", "additionalProperties": false,
      "properties": {
        "name": {"type": "string", "description": "What runs of it are called; the file's name if absent"},
        "description": {"type": "string", "description": "What people read of it"}
      }
    },
    "vars": {
      "type": "object", "description": "What a caller may set",
      "additionalProperties": {"$ref": "#/$defs/variable"}
    },
    "secrets": {
      "type": "object", "description": "What must not be seen",
      "additionalProperties": {"$ref": "#/$defs/secret"}
    },
    "pools": {
      "type": "object", "description": "NAME = 2: at most two steps of that pool at once",
      "additionalProperties": {"type": "integer", "minimum": 1}
    },
    "step": {
      "type": "array", "description": "The steps, in the order they are written",
      "items": {"$ref": "#/$defs/step"}
    },
    "finally": {
      "type": "array", "description": "Steps that always run: after success, failure and Ctrl-C",
      "items": {"$ref": "#/$defs/step"}
    },
    "outputs": {"type": "object", "description": "What the run prints at its end"}
  },
  "$defs": {
    "reference": {
      "type": "string", "pattern": "\\$\\{",
      "description": "A value by its name: ${vars.NAME}, ${secrets.NAME}, ${steps.ID.OUTPUT}, ${each.value}, ${run.id}, ${pipeline.dir}"
    },
    "duration": {
      "description": "500ms, 30s, 2m, 1h30m",
      "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(d|h|m|s|ms))+$"}
      ]
    },
    "size": {
      "description": "Bytes, or 64KiB, 10MB, 2GiB",
      "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]
    },
    "variable": {
      "type": "object", "additionalProperties": false,
      "properties": {
        "type": {
          "type": "string", "description": "Taken from the default if absent",
          "pattern": "^(string|integer|number|boolean|duration|size|path|(list|map)<(string|integer|number|boolean|duration|size|path)>)$"
        },
        "default": {"description": "Its value where nobody sets it; without one the variable must be set"},
        "description": {"type": "string", "description": "What people read of it"},
        "env": {"type": "string", "description": "The environment variable that sets it; no other is ever read"},
        "pattern": {"type": "string", "description": "Regular expression for the whole text"},
        "choices": {"type": "array", "description": "All values that are allowed"},
        "min": {"description": "Smallest value"},
        "max": {"description": "Largest value"}
      }
    },
    "secret": {
      "type": "object", "additionalProperties": false, "required": ["from"],
      "properties": {
        "description": {"type": "string", "description": "What people read of it"},
        "from": {
          "description": "The first source that has it is used",
          "anyOf": [{"$ref": "#/$defs/source"}, {"type": "array", "items": {"$ref": "#/$defs/source"}}]
        },
        "optional": {"type": "boolean", "description": "Absent where no source has it, instead of an error"}
      }
    },
    "source": {
      "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
      "properties": {
        "env": {"type": "string", "description": "An environment variable"},
        "file": {"type": "string", "description": "A file that holds it"},
        "command": {"type": "array", "items": {"type": "string"}, "description": "A command that prints it"}
      }
    },
    "step": {
      "type": "object",
      "required": ["uses"],
      "additionalProperties": false,
      "properties": {
        "uses": {"type": "string", "description": "The plugin"},
        "id": {"type": "string", "description": "Its name in this file; `uses` if absent"},
        "with": {"type": "object", "description": "The plugin's parameters"},
        "needs": {
          "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
          "description": "Exactly these steps come first; without it, the step above; [] starts at once"
        },
        "if": {"type": ["string", "boolean"], "description": "An expression; false skips the step"},
        "for_each": {
          "anyOf": [{"type": "array"}, {"type": "object"}, {"$ref": "#/$defs/reference"}],
          "description": "One instance an element, with ${each.key} and ${each.value}"
        },
        "retry": {
          "type": "object", "additionalProperties": false, "description": "For transient failures only",
          "properties": {
            "attempts": {"type": "integer", "minimum": 1},
            "delay": {"$ref": "#/$defs/duration"},
            "max_delay": {"$ref": "#/$defs/duration"},
            "factor": {"type": "number", "minimum": 1},
            "jitter": {"type": "boolean"}
          }
        },
        "timeout": {"$ref": "#/$defs/duration"},
        "pool": {"type": "string", "description": "A name from [pools]"},
        "rollback": {"type": "boolean", "description": "When the run fails, take back what this step made"}
      }
    }
  }
})json";

Json reference(const char *definition) {
  return {{"$ref", std::string("#/$defs/") + definition}};
}

Json any_of(Json one, Json other) {
  return {{"anyOf", Json::array({std::move(one), std::move(other)})}};
}

/// One value, not a list or map.
Json scalar(Type type, const Param &param) {
  if (!param.choices.empty()) return any_of({{"enum", param.choices}}, reference("reference"));
  switch (type) {
    case Type::duration:
      return any_of(reference("duration"), reference("reference"));
    case Type::size:
      return reference("size");
    case Type::boolean:
      return any_of({{"type", "boolean"}}, reference("reference"));
    case Type::integer:
    case Type::number: {
      Json number{{"type", type_name(type)}};
      if (param.minimum) number["minimum"] = *param.minimum;
      if (param.maximum) number["maximum"] = *param.maximum;
      return any_of(std::move(number), reference("reference"));
    }
    default:
      break;
  }
  // A pattern is checked by `pipe check`: regular expressions of editors are another dialect.
  return {{"type", "string"}};
}

Json value(const Param &param) {
  if (param.type == Type::map) {
    Json map{{"type", "object"}, {"additionalProperties", scalar(param.item, param)}};
    return any_of(std::move(map), reference("reference"));
  }
  if (param.type != Type::list) return scalar(param.type, param);
  Json item = param.item == Type::map ? Json{{"type", "object"}} : scalar(param.item, param);
  // One value is a list of one.
  Json list{{"type", "array"}, {"items", item}};
  return any_of(std::move(list), std::move(item));
}

Json described(const Param &param) {
  Json out = value(param);
  out["description"] = param.help;
  if (!param.deprecated.empty()) out["deprecated"] = true;
  if (param.fallback && !param.fallback->is_null()) {
    // As a person would write it.
    const bool has_unit = param.type == Type::duration || param.type == Type::size;
    out["default"] =
        has_unit ? Json(as_written(param, *param.fallback)) : Json::parse(to_json(*param.fallback));
  }
  if (!param.examples.empty()) out["examples"] = param.examples;
  return out;
}

Json parameters(const StepSchema &step) {
  Json properties = Json::object(), required = Json::array();
  for (const Param &param : step.params) {
    properties[param.name] = described(param);
    for (const std::string &alias : param.aliases) {
      properties[alias] = described(param);
      properties[alias]["deprecated"] = true;
    }
    // An alias is as good, so that nothing but the reader can demand a parameter that has one.
    if (param.required && param.aliases.empty()) required.push_back(param.name);
  }
  Json out{{"type", "object"},
           {"description", step.help},
           {"additionalProperties", false},
           {"properties", std::move(properties)}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

/// What a step takes, whichever plugin it uses: for completion, which looks at no `if`. It refuses no value
/// that a plugin takes.
Json all_parameters(const std::vector<StepSchema> &steps) {
  Json properties = Json::object();
  for (const StepSchema &step : steps) {
    for (const Param &param : step.params) {
      Json &known = properties[param.name];
      if (known.is_null()) {
        known = {{"description", param.help}};
        if (!param.choices.empty()) known["anyOf"] = value(param)["anyOf"];
      } else if (known.contains("anyOf") && known["anyOf"] != value(param).value("anyOf", Json())) {
        known.erase("anyOf");
      }
    }
  }
  return properties;
}

/// One plugin's rule after the other, each in the `else` of the one before: Taplo completes no key of a table
/// that has an `allOf`.
void add_rules(Json &step, const std::vector<StepSchema> &steps, std::size_t at = 0) {
  if (at == steps.size()) return;
  const StepSchema &plugin = steps[at];
  const bool needs_with = std::ranges::any_of(
      plugin.params, [](const Param &param) { return param.required && param.aliases.empty(); });
  step["if"] = {{"required", {"uses"}}, {"properties", {{"uses", {{"const", plugin.step}}}}}};
  step["then"] = {{"properties", {{"with", reference(("with." + plugin.step).c_str())}}}};
  if (needs_with) step["then"]["required"] = {"with"};
  if (at + 1 < steps.size()) add_rules(step["else"], steps, at + 1);
}

}  // namespace

std::string json_schema(const std::vector<StepSchema> &steps) {
  Json schema = Json::parse(kPipeline);
  Json names = Json::array();
  for (const StepSchema &plugin : steps) {
    schema["$defs"]["with." + plugin.step] = parameters(plugin);
    names.push_back(plugin.step);
  }
  Json &step = schema["$defs"]["step"];  // only now: a new member of an object moves the others
  step["properties"]["uses"]["enum"] = std::move(names);
  step["properties"]["with"]["properties"] = all_parameters(steps);
  add_rules(step, steps);
  return schema.dump(2) + "\n";
}

}  // namespace pipes
