#pragma once
// The steps of a plan, as events and graphs tell of them.
#include "core/plan/plan.hpp"

#include <functional>
#include <string>
#include <vector>

namespace pipes {

/// Nodes of a plan, by index; empty: all.
using Chosen = std::vector<bool>;

/// Each {id, uses, step, line, needs, finally}: `step` (of the file) where it is not the id, `line` where it
/// begins in the file, `needs` the ids that it waits for. The id of a step that has several instances stands
/// for them all. Barriers are not among them, nor, if `with_finally` is false, what [[finally]] has.
Value::List described_steps(const Plan &, const Chosen &, bool with_finally);

/// Which steps of a plan are to run: empty lists mean all of them.
struct Choice {
  std::vector<std::string> from;  // these, and all that come after them
  std::vector<std::string> only;  // these alone
  bool is_all() const { return from.empty() && only.empty(); }
};

/// The nodes that are chosen, barriers among them. A step that has instances may be named as a whole. Throws
/// Error{Exit::usage} if there is no step of that name.
Chosen chosen_nodes(const Plan &, const Choice &);

/// Of the steps that are not chosen, the results as an earlier run left them: `outputs` gives what it knows
/// of a step. Throws Error{Exit::usage} if a chosen step reads an output that is not known.
std::vector<NodeResult> earlier_results(const Plan &, const Chosen &,
                                        const std::function<Value::Map(const std::string &step)> &outputs);

}  // namespace pipes
