#pragma once
// The pipeline file as JSON Schema, for editors.
#include "core/schema/schema.hpp"

#include <string>
#include <vector>

namespace pipes {

/// JSON Schema (draft 2020-12) of pipeline files whose steps are of these plugins: what `pipe check` takes is
/// valid by it. It is stricter in two ways: a number must be written as one, and a step of an unknown plugin
/// is no step.
std::string json_schema(const std::vector<StepSchema> &steps);

}  // namespace pipes
