#pragma once
#include "core/plan/plan.hpp"

#include <string>
#include <vector>

namespace pipes {

/// The system libraries that the plan's plugins need and that are worth loading once for all steps:
/// known ones only, as loading runs their constructors in the zygote.
std::vector<std::string> libraries_to_preload(const Plan &);

}  // namespace pipes
