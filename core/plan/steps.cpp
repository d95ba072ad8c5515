#include "core/plan/steps.hpp"

#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/plan/plan_impl.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

bool is_chosen(const Chosen &chosen, std::uint32_t node) {
  return chosen.empty() || chosen[node];
}

/// The ids behind a list of needs. A barrier without instances stands for what it waits for itself.
void add_needs(const Plan &plan, const std::vector<std::uint32_t> &needs, Value::List &ids) {
  for (const std::uint32_t need : needs) {
    const Node &node = plan.nodes[need];
    const bool is_empty = node.barrier && (need == 0 || plan.nodes[need - 1].step != node.step);
    if (is_empty) {
      add_needs(plan, node.needs, ids);
    } else {
      ids.emplace_back(node.id);
    }
  }
}

[[noreturn]] void reject(const Plan &plan, const std::string &name) {
  std::vector<std::string> ids;
  for (const Node &node : plan.nodes) {
    for (const std::string &id : {node.step, node.id}) {
      if (ids.empty() || ids.back() != id) ids.push_back(id);
    }
  }
  const std::string close = did_you_mean(name, ids);
  throw Error(Exit::usage, fmt::format("`{}` has no step `{}`", plan.name, name),
              close.empty() ? fmt::format("`pipe graph {}` shows its steps", plan.file) : close);
}

/// Marks a step, or one instance of it.
void mark(const Plan &plan, const std::string &name, Chosen &chosen) {
  bool found = false;
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    if (plan.nodes[i].id != name && plan.nodes[i].step != name) continue;
    chosen[i] = found = true;
  }
  if (!found) reject(plan, name);
}

/// Adds, again and again, what waits for a chosen node. Barriers stand behind their instances, but a step may
/// wait for one that is written below it.
void add_followers(const Plan &plan, Chosen &chosen) {
  std::vector<std::vector<std::uint32_t>> followers(plan.nodes.size());
  std::vector<std::uint32_t> reached;
  for (std::uint32_t i = 0; i < plan.nodes.size(); ++i) {
    for (const std::uint32_t need : plan.nodes[i].needs) followers[need].push_back(i);
    if (chosen[i]) reached.push_back(i);
  }
  while (!reached.empty()) {
    const std::uint32_t node = reached.back();
    reached.pop_back();
    for (const std::uint32_t next : followers[node]) {
      if (!chosen[next]) reached.push_back(next);
      chosen[next] = true;
    }
  }
}

std::string listed(const std::vector<std::string> &names, const char *between = ", ") {
  std::string out;
  for (const std::string &name : names) out += fmt::format("{}`{}`", out.empty() ? "" : between, name);
  return out;
}

/// The steps that a node waits for whose outputs are not known.
std::vector<std::string> makers(const Plan &plan, std::uint32_t node, const Chosen &chosen,
                                const std::vector<NodeResult> &results) {
  std::vector<std::string> names;
  for (const std::uint32_t need : plan.nodes[node].needs) {
    if (chosen[need]) continue;
    if (plan.nodes[need].barrier) {
      for (std::string &name : makers(plan, need, chosen, results)) names.push_back(std::move(name));
    } else if (results[need].state == NodeResult::State::unknown) {
      names.push_back(plan.nodes[need].id);
    }
  }
  return names;
}

[[noreturn]] void reject_gap(const Plan &plan, std::uint32_t node, const std::vector<std::string> &names,
                             const std::vector<std::string> &params) {
  const std::string what = params.empty() ? "`if`" : listed(params);
  throw Error(
      Exit::usage,
      fmt::format("{} of `{}` needs an output of {}, and no run with these settings has left one", what,
                  plan.nodes[node].id, names.empty() ? "a step that is left out" : listed(names, " or ")),
      names.empty() ? "run the whole pipeline"
                    : fmt::format("begin there: --from {} (what is secret is never kept)", names.front()));
}

/// Whether the `if` of a node says no.
bool is_left_out(const Plan &plan, std::uint32_t node, const std::vector<NodeResult> &results) {
  try {
    return plan.condition(node, results, {}) == false;
  } catch (const Error &) {
    return false;  // it depends on a step whose outputs are not known
  }
}

}  // namespace

Value::List described_steps(const Plan &plan, const Chosen &chosen, bool with_finally) {
  Value::List steps;
  for (std::uint32_t i = 0; i < plan.nodes.size(); ++i) {
    const Node &node = plan.nodes[i];
    if (node.barrier || !is_chosen(chosen, i) || (node.finally && !with_finally)) continue;
    Value::Map step{{"id", node.id}, {"uses", node.uses}};
    if (node.step != node.id) step.emplace_back("step", node.step);
    if (!plan.file.empty())
      step.emplace_back("line", std::int64_t{plan.impl->pipeline.steps[node.source].spot.line});
    Value::List needs;
    add_needs(plan, node.needs, needs);
    if (!needs.empty()) step.emplace_back("needs", std::move(needs));
    if (node.finally) step.emplace_back("finally", true);
    steps.emplace_back(std::move(step));
  }
  return steps;
}

Chosen chosen_nodes(const Plan &plan, const Choice &choice) {
  if (choice.is_all()) return {};
  Chosen chosen(plan.nodes.size());
  if (!choice.from.empty()) {
    for (const std::string &name : choice.from) mark(plan, name, chosen);
    add_followers(plan, chosen);
    // However a run begins, this is its end.
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
      if (plan.nodes[i].finally) chosen[i] = true;
    }
  }
  for (const std::string &name : choice.only) mark(plan, name, chosen);
  return chosen;
}

std::vector<NodeResult> earlier_results(const Plan &plan, const Chosen &chosen,
                                        const std::function<Value::Map(const std::string &)> &outputs) {
  using State = NodeResult::State;
  std::vector<NodeResult> results(plan.nodes.size());
  for (std::uint32_t i = 0; i < plan.nodes.size(); ++i) {
    if (plan.nodes[i].barrier) {
      results[i].state = is_chosen(chosen, i) ? State::skipped : State::unchanged;
    } else if (is_chosen(chosen, i) || is_left_out(plan, i, results)) {
      results[i].state =
          State::skipped;  // of those that are chosen for now, so that only others can be unknown
    } else {
      results[i].outputs = outputs(plan.nodes[i].id);
      results[i].state = results[i].outputs.empty() ? State::unknown : State::unchanged;
    }
  }
  for (std::uint32_t i = 0; i < plan.nodes.size() && !chosen.empty(); ++i) {
    if (!chosen[i] || plan.nodes[i].barrier || plan.nodes[i].finally) continue;
    std::optional<bool> runs;
    try {
      runs = plan.condition(i, results, {});
    } catch (const Error &) {
      runs = true;  // it depends on a step that is chosen: that is seen when its turn has come
    }
    if (!runs) reject_gap(plan, i, makers(plan, i, chosen, results), {});
    const Plan::Params params = plan.params(i, results, {"run", "ok"});
    if (!params.unknown.empty()) reject_gap(plan, i, makers(plan, i, chosen, results), params.unknown);
  }
  for (std::uint32_t i = 0; i < plan.nodes.size(); ++i) {
    if (is_chosen(chosen, i)) {
      results[i].state = State::pending;
    } else if (results[i].state == State::unknown) {
      results[i].state = State::skipped;  // nobody but [[finally]] may ask, to whom it has not run
    }
  }
  return results;
}

}  // namespace pipes
