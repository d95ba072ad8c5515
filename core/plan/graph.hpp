#pragma once
#include "core/plan/bind.hpp"

#include <cstdint>
#include <vector>

namespace pipes {

/// One step waits for another, before for_each is expanded.
struct Edge {
  enum class Why { needs, reads, follows };
  std::uint32_t to = 0;
  Why why = Why::follows;
  const Expression *key = nullptr;  // of the instance that is waited for; nullptr: all of them
  Spot spot;                        // where the file says so
};

/// What each step waits for. Without `needs` a step follows the one above it, unless it reads single
/// instances of that one and so waits for those alone. `uses` has one list a step.
std::vector<std::vector<Edge>> step_edges(const Pipeline &, const std::vector<std::vector<StepUse>> &uses,
                                          Binder &, Diagnostics &);

/// Reports steps that wait for each other, the shortest circle first. False if there is one.
bool check_cycles(const Pipeline &, const std::vector<std::vector<Edge>> &, Diagnostics &);

}  // namespace pipes
