#pragma once
// What a plugin says of itself, read from its metadata section.
#include "core/base/pattern.hpp"
#include "core/base/value.hpp"

#include <cstdint>
#include <memory>
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
  std::optional<Value> fallback;  // the default
  std::string format;             // "image", "uri", "platform", "port" …: for people and completion
  std::optional<std::int64_t> minimum, maximum;
  std::string pattern;                     // of the whole text
  std::shared_ptr<const Pattern> matcher;  // compiled from `pattern`; copies of a Param share it
  std::vector<std::string> choices;        // an enum
  Type item = Type::string;                // of a list or map
  std::vector<std::string> examples, aliases;
  std::string deprecated;  // what to use instead
  std::string since;       // the version of the step that has it first
};

struct Output {
  std::string name, help;
  Type type = Type::string;
  Type item = Type::string;  // of a list or map
};

/// One step that a plugin file offers.
struct StepSchema {
  std::string step, version, help;
  int abi_major = 0, abi_minor = 0;
  bool has_plan = false, has_undo = false;
  std::vector<Param> params;
  std::vector<Output> outputs;
  const Param *param(std::string_view name) const;
  const Output *output(std::string_view name) const;
};

/// Reads the JSON of the metadata section (one object, or an array of objects: one file may hold
/// several steps). Throws pipes::Error{Exit::plugin}; unknown keys are ignored, unknown types refused.
std::vector<StepSchema> parse_metadata(std::string_view json);

std::string_view type_name(Type);
std::optional<Type> parse_type(std::string_view name);
/// For people: "size", "list of strings"; with its article: "a size", "an integer".
std::string describe_type(Type, Type item);
std::string with_article(const std::string &noun);
/// "0s to 1m", "one of: newer, missing": the values it allows of its type, or empty.
std::string describe_range(const Param &);
/// A value that fits the parameter as a person writes it: 90000 is "1m30s" for a duration.
std::string as_written(const Param &, const Value &);
/// A checked value as `${…}` has it: a duration is text, as it needs its unit wherever it goes.
Value with_units(Type, Type item, Value);
/// Of a list or map: what each of its items must be. The items of containers in containers are text.
Param item_param(const Param &);

/// Makes `value` what the parameter asks for: "2m" is 120000, 5 for text "5", for a list [5]. Returns
/// what is wrong, or empty: "takes an integer, not the text "three"", to be read behind the parameter's
/// name. A secret's value is not repeated.
std::string coerce(const Param &, Value &value);
/// Same for text of a command line (`--name text`) or environment, where numbers and booleans are text.
/// A list may be given one item a text or as a JSON array; a map as key=value texts or a JSON object.
std::string coerce_text(const Param &, const std::vector<std::string> &text, Value &value);

}  // namespace pipes
