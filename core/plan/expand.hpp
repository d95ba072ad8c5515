#pragma once
// From the steps of a file to the nodes of its plan.
#include "core/plan/graph.hpp"
#include "core/plan/plan_impl.hpp"

#include <filesystem>
#include <vector>

namespace pipes {

/// Works out which instances each step has.
void expand_for_each(Plan::Impl &, Diagnostics &);

/// Makes the nodes of the plan from the instances, and connects them by `edges`. `schemas` and `plugins`
/// have one item a step.
void connect_nodes(Plan &, const std::vector<std::vector<Edge>> &edges,
                   const std::vector<const StepSchema *> &schemas,
                   const std::vector<std::filesystem::path> &plugins, Diagnostics &);

}  // namespace pipes
