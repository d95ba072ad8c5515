#pragma once
// The options of `pipe step NAME`, made from what the plugin says of its parameters.
#include "core/cli/options.hpp"
#include "core/schema/schema.hpp"

#include <string>
#include <vector>

namespace pipes::cli {

/// An option for each parameter (`ca_file` is --ca-file; one named like an option of pipe's own gets
/// `with-` in front). A secret has two, NAME-file and NAME-env, since arguments are seen by everyone.
std::vector<Option> step_options(const StepSchema &, const std::vector<Option> &own);
/// What stands behind `pipe step NAME`: the parameters that are required.
std::string step_usage(const StepSchema &, const std::vector<Option> &own);
/// The words with names as they are spelled in step_options: `--ca_file` and aliases are understood.
std::vector<std::string> spelled(const StepSchema &, const std::vector<Option> &own,
                                 std::vector<std::string> words);

struct StepParams {
  Value::Map values;                 // checked, defaults applied
  std::vector<std::string> secrets;  // their values, to be masked
};
/// Throws Error{Exit::usage} that names every parameter that is missing or wrong.
StepParams step_params(const StepSchema &, const std::vector<Option> &own, const Arguments &);

/// What a parameter's value is called in help: IMAGE, INTEGER, KEY=VALUE …
std::string argument_name(const Param &);
/// "Image to name (required)", with default, choices and range.
std::string param_help(const Param &);

}  // namespace pipes::cli
