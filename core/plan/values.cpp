// What the parameters, conditions and outputs of a plan come to, as its run goes on.
#include "core/base/error.hpp"
#include "core/plan/plan_impl.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

/// The values of a node's parameters, one after the other.
class ParameterReader {
 public:
  ParameterReader(const Plan::Impl &impl, const Node &node, const PlanScope &scope)
      : impl_(impl), node_(node), scope_(scope) {}

  Plan::Params read() {
    const Tree &with = impl_.pipeline.steps[node_.source].with;
    for (const Param &param : node_.schema->params) {
      const auto names_it = [&](const Tree::Key &key) { return node_.schema->param(key.name) == &param; };
      const auto given = std::find_if(with.keys.begin(), with.keys.end(), names_it);
      if (given == with.keys.end() ||
          !give(param, with.items[static_cast<std::size_t>(given - with.keys.begin())])) {
        if (param.fallback) params_.values.emplace_back(param.name, *param.fallback);
      }
    }
    return std::move(params_);
  }

 private:
  /// False: it came to nothing, so that the default stands.
  bool give(const Param &param, const Tree &tree) {
    try {
      Evaluated now = evaluate(tree, scope_);
      if (now.unknown) {
        params_.unknown.push_back(param.name);
        return true;
      }
      if (now.value.is_null()) {
        if (!param.required) return false;
        problem(param, tree, fmt::format("`{}` of `{}` came to nothing", param.name, node_.id)).help =
            "what it reads was skipped, failed or is not there";
        return true;
      }
      const std::string wrong = coerce(param, now.value);
      if (wrong.empty()) {
        params_.values.emplace_back(param.name, std::move(now.value));
      } else {
        problem(param, tree, fmt::format("`{}` of `{}` {}", param.name, node_.id, wrong));
      }
    } catch (const EvaluationError &error) {
      params_.problems.push_back(diagnose(impl_.pipeline.source, error, tree.spot));
    }
    return true;
  }

  Diagnostic &problem(const Param &param, const Tree &tree, std::string message) {
    params_.problems.push_back(diagnose(impl_.pipeline.source, tree.spot, "wrong-value", std::move(message)));
    params_.problems.back().hide_line = param.secret;
    return params_.problems.back();
  }

  const Plan::Impl &impl_;
  const Node &node_;
  const PlanScope &scope_;
  Plan::Params params_;
};

PlanScope scope_of(const Plan &plan, std::uint32_t node, const std::vector<NodeResult> &results,
                   const RunFacts &facts) {
  PlanScope scope(*plan.impl, {&plan.nodes, &results, &facts});
  const std::uint32_t source = plan.nodes[node].source;
  scope.choose(source, node - plan.impl->instances[source].first);
  if (plan.nodes[node].finally && !facts.status.empty()) scope.at_the_end();
  return scope;
}

}  // namespace

Plan::Params Plan::params(std::uint32_t node, const std::vector<NodeResult> &results,
                          const RunFacts &facts) const {
  if (impl->fixed) return {*impl->fixed, {}, {}};
  const PlanScope scope = scope_of(*this, node, results, facts);
  return ParameterReader(*impl, nodes[node], scope).read();
}

std::optional<bool> Plan::condition(std::uint32_t node, const std::vector<NodeResult> &results,
                                    const RunFacts &facts) const {
  if (impl->fixed) return true;
  const Step &step = impl->pipeline.steps[nodes[node].source];
  if (nodes[node].barrier || !step.condition) return true;
  try {
    const Evaluated now = evaluate(*step.condition, scope_of(*this, node, results, facts));
    if (now.unknown) return std::nullopt;
    if (now.value.is_null()) return false;
    if (now.value.kind() == Value::Kind::boolean) return now.value.as_bool();
    throw Error(Exit::invalid, fmt::format("`if` of {} came to {}, not true or false", nodes[node].id,
                                           with_article(std::string(kind_name(now.value.kind())))));
  } catch (const EvaluationError &error) {
    throw Error(Exit::invalid, fmt::format("`if` of {}: {}", nodes[node].id, error.message), error.help);
  }
}

Value::Map Plan::outputs(const std::vector<NodeResult> &results, const RunFacts &facts) const {
  Value::Map values;
  if (impl->fixed) return results.front().outputs;  // `pipe step`: all that it gave
  PlanScope scope(*impl, {&nodes, &results, &facts});
  if (!facts.status.empty()) scope.at_the_end();
  const Tree &outputs = impl->pipeline.outputs;
  for (std::size_t i = 0; i < outputs.items.size(); ++i) {
    try {
      Evaluated now = evaluate(outputs.items[i], scope);
      if (!now.unknown && !now.value.is_null())
        values.emplace_back(outputs.keys[i].name, std::move(now.value));
    } catch (const EvaluationError &) {
      // A run that failed may leave nothing to work an output out from: it is not known then.
    }
  }
  return values;
}

}  // namespace pipes
