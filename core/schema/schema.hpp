#pragma once
// What a plugin says of itself, read from its metadata section.
#include "core/base/value.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// Types of parameters and outputs. duration values are milliseconds, sizes bytes once checked.
enum class Type { string, integer, number, boolean, duration, size, path, list, map };

struct Param {
  std::string name, help;
  Type type = Type::string;
  bool required = false, secret = false;
  std::optional<Value> fallback;      // the default
  std::string format;                 // "image", "uri", "platform", "port" …: for people and completion
  std::optional<std::int64_t> minimum, maximum;
  std::string pattern;
  std::vector<std::string> choices;   // an enum
  Type item = Type::string;           // of a list or map
  std::vector<std::string> examples, aliases;
  std::string deprecated;             // what to use instead
};

struct Output {
  std::string name, help;
  Type type = Type::string;
};

/// One step that a plugin file offers.
struct StepSchema {
  std::string step, version, help;
  int abi_major = 0, abi_minor = 0;
  bool has_plan = false, has_undo = false;
  bool accepts_scalar_lists = true;   // a single string where a list is asked for is a list of one
  std::vector<Param> params;
  std::vector<Output> outputs;
  const Param *param(std::string_view name) const;
  const Output *output(std::string_view name) const;
};

/// Reads the JSON of the metadata section (one object, or an array of objects: one file may hold
/// several steps). Throws pipes::Error{Exit::plugin}; unknown keys are ignored, unknown types refused.
std::vector<StepSchema> parse_metadata(std::string_view json);

std::string_view type_name(Type);
/// Makes `value` what the parameter asks for ("2m" -> 120000, 5 -> [5] …); returns what is wrong, or
/// empty. The message has no place and does not repeat a secret.
std::string coerce(const Param &, Value &value);
/// Same for text from a command line (`--name text`), where numbers and booleans are text.
std::string coerce_text(const Param &, const std::vector<std::string> &text, Value &value);

}  // namespace pipes
