#include "core/plan/plan.hpp"

#include "core/base/error.hpp"
#include "core/pipeline/variables.hpp"
#include "core/plan/check.hpp"
#include "core/plan/graph.hpp"
#include "core/plan/plan_impl.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <unordered_map>
#include <utility>

namespace pipes {
namespace {

/// Works in the order of the words in plan.hpp: read, check, plan. Each part goes on after mistakes of
/// the one before it, as far as it can say something that is not a consequence of them.
class Planner {
 public:
  Planner(const Inputs &inputs, PluginRegistry &registry, bool resolve_secrets)
      : inputs_(inputs), registry_(registry), resolve_secrets_(resolve_secrets) {}

  PlanOutcome make(const std::string &file) {
    plan_.impl = std::make_unique<Plan::Impl>();
    plan_.file = file;
    try {
      pipeline() = read_pipeline(Source::read(file), diagnostics_);
    } catch (const Error &e) {
      Diagnostic &d = diagnostics_.emplace_back();
      d.id = "file";
      d.message = e.message;
      d.help = e.hint;
      return finish();
    }
    impl().variables =
        resolve_variables(pipeline(), inputs_.set, inputs_.var_files, resolve_secrets_, diagnostics_);
    find_plugins();
    Binder binder(pipeline(), schemas_, diagnostics_);
    ParameterChecker checker(impl(), binder, diagnostics_);
    check_steps(binder, checker);
    const auto edges = step_edges(pipeline(), uses_, binder, diagnostics_);
    const bool is_acyclic = check_cycles(pipeline(), edges, diagnostics_);
    expand();
    if (is_acyclic) connect(edges);
    for (std::uint32_t i = 0; i < pipeline().steps.size(); ++i) {
      if (impl().instances[i].keyed) checker.check_instances(pipeline().steps[i], i);
    }
    checker.hide_secret_lines();
    if (!has_errors(diagnostics_)) secrets(binder, std::move(checker.secret_values));
    return finish();
  }

 private:
  Plan::Impl &impl() { return *plan_.impl; }
  Pipeline &pipeline() { return plan_.impl->pipeline; }

  PlanOutcome finish() {
    sort_diagnostics(diagnostics_);
    PlanOutcome outcome;
    if (!has_errors(diagnostics_)) {
      plan_.name = pipeline().name;
      plan_.description = pipeline().description;
      plan_.pools = pipeline().pools;
      outcome.plan = std::move(plan_);
    }
    outcome.diagnostics = std::move(diagnostics_);
    return outcome;
  }

  void find_plugins() {
    std::unordered_map<std::string, PluginRegistry::Found> known;
    for (const Step &step : pipeline().steps) {
      auto found = known.find(step.uses);
      if (found == known.end()) found = known.emplace(step.uses, registry_.find(step.uses)).first;
      const PluginRegistry::Found &plugin = found->second;
      schemas_.push_back(plugin.schema);
      plugins_.push_back(plugin.path);
      if (plugin.schema != nullptr || step.uses.empty()) continue;
      Diagnostic d = diagnose(pipeline().source, step.uses_spot, "unknown-plugin",
                              fmt::format("there is no step plugin `{}`", step.uses));
      if (plugin.problem.empty()) {
        d.help = did_you_mean(step.uses, registry_.names());
        if (d.help.empty()) d.help = "`pipe plugins` lists them and says where it looked";
      } else {
        d.id = "plugin";
        d.message = plugin.problem;
        d.help = plugin.hint;
      }
      diagnostics_.push_back(std::move(d));
    }
  }

  void check_steps(Binder &binder, ParameterChecker &checker) {
    for (std::uint32_t i = 0; i < pipeline().steps.size(); ++i) {
      Step &step = pipeline().steps[i];
      if (step.for_each) binder.bind(*step.for_each, {Context::Kind::for_each, i});
      if (step.condition) check_condition(step, i, binder);
      checker.check(step, i, schemas_[i]);
      uses_.push_back(std::exchange(binder.uses, {}));
    }
    binder.bind(pipeline().outputs, {Context::Kind::outputs, 0});
  }

  void check_condition(Step &step, std::uint32_t index, Binder &binder) {
    const Known known = binder.bind(*step.condition, {Context::Kind::condition, index}, step.condition_spot);
    if (!known.kind || *known.kind == Value::Kind::boolean) return;
    Diagnostic d = diagnose(pipeline().source, step.condition_spot, "wrong-type",
                            fmt::format("`if` takes true or false, but this is {}",
                                        with_article(std::string(kind_name(*known.kind)))));
    d.help = "compare it with something: ==, !=, in, matches";
    diagnostics_.push_back(std::move(d));
  }

  void expand() {
    impl().instances.resize(pipeline().steps.size());
    for (std::uint32_t i = 0; i < pipeline().steps.size(); ++i) {
      const Step &step = pipeline().steps[i];
      if (step.for_each) expand_step(step, impl().instances[i]);
    }
  }

  void expand_step(const Step &step, Instances &instances) {
    instances.keyed = instances.is_open = true;
    instances.count = 0;
    const Tree &tree = *step.for_each;
    Evaluated items;
    try {
      items = evaluate(tree, PlanScope(impl(), {}));
    } catch (const EvaluationError &error) {
      diagnostics_.push_back(diagnose(pipeline().source, error, tree.spot));
    }
    if (items.unknown || items.value.is_null()) return;
    if (items.value.kind() == Value::Kind::map) {
      for (auto &[key, value] : items.value.as_map()) {
        instances.keys.push_back(key);
        instances.values.push_back(std::move(value));
      }
    } else if (items.value.kind() == Value::Kind::list) {
      for (Value &value : items.value.as_list()) {
        if (value.kind() == Value::Kind::list || value.kind() == Value::Kind::map) {
          diagnose_for_each(tree, "the items of for_each are texts or numbers").help =
              "for items with several values write a table: for_each = { key = { … } }";
          return;
        }
        instances.keys.push_back(to_text(value));
        instances.values.push_back(std::move(value));
      }
    } else {
      diagnose_for_each(tree, fmt::format("for_each takes a list or a map, not {}",
                                          with_article(std::string(kind_name(items.value.kind())))));
      return;
    }
    instances.is_open = false;
    instances.by_key.reserve(instances.keys.size());
    for (const std::string &key : instances.keys) {
      const bool is_new = instances.by_key.emplace(key, instances.count).second;
      if (!is_new) {
        const bool has_places = tree.items.size() == instances.keys.size();
        diagnose_for_each(has_places ? tree.items[instances.count] : tree,
                          fmt::format("for_each has {} twice", to_json(Value(key))))
            .help = "each key makes one instance: drop the second";
      }
      ++instances.count;
    }
  }

  Diagnostic &diagnose_for_each(const Tree &tree, std::string message) {
    diagnostics_.push_back(diagnose(pipeline().source, tree.spot, "for-each", std::move(message)));
    return diagnostics_.back();
  }

  void connect(const std::vector<std::vector<Edge>> &edges) {
    make_nodes(edges);
    for (std::uint32_t i = 0; i < edges.size(); ++i) {
      const Instances &instances = impl().instances[i];
      for (std::uint32_t at = 0; at < instances.count; ++at) {
        plan_.nodes[instances.first + at].needs = needs(edges[i], i, at);
      }
      if (!instances.barrier) continue;
      std::vector<std::uint32_t> all(instances.count);
      std::iota(all.begin(), all.end(), instances.first);
      // Without instances the barrier hands on what the step itself would have waited for.
      plan_.nodes[*instances.barrier].needs =
          instances.count == 0 ? needs(edges[i], i, std::nullopt) : std::move(all);
    }
  }

  /// Instances of a step stand together, with the barrier behind them if something waits for them all:
  /// n + m edges through one node instead of n * m.
  void make_nodes(const std::vector<std::vector<Edge>> &edges) {
    std::vector<bool> is_awaited(edges.size());
    for (std::uint32_t i = 0; i < edges.size(); ++i) {
      for (const Edge &edge : edges[i]) {
        if (edge.key == nullptr || impl().instances[i].count == 0) is_awaited[edge.to] = true;
      }
    }
    std::size_t count = 0;
    for (const Instances &instances : impl().instances) count += instances.count + 1;
    plan_.nodes.reserve(count);
    for (std::uint32_t i = 0; i < edges.size(); ++i) {
      Instances &instances = impl().instances[i];
      instances.first = static_cast<std::uint32_t>(plan_.nodes.size());
      for (std::uint32_t at = 0; at < instances.count; ++at) plan_.nodes.push_back(make_node(i, at));
      if (!is_awaited[i] || instances.count == 1) continue;
      instances.barrier = static_cast<std::uint32_t>(plan_.nodes.size());
      Node barrier;
      barrier.id = barrier.step = pipeline().steps[i].id;
      barrier.barrier = true;
      barrier.finally = pipeline().steps[i].finally;
      barrier.source = i;
      plan_.nodes.push_back(std::move(barrier));
    }
  }

  Node make_node(std::uint32_t index, std::uint32_t instance) {
    const Step &step = pipeline().steps[index];
    Node node;
    node.step = step.id;
    node.id = step.id;
    if (step.for_each) {
      node.key = impl().instances[index].keys[instance];
      node.id += "[" + to_json(Value(node.key)) + "]";
    }
    node.uses = step.uses;
    node.plugin = plugins_[index];
    node.schema = schemas_[index];
    node.retry = step.retry;
    node.timeout = step.timeout;
    node.pool = step.pool;
    node.rollback = step.rollback;
    node.finally = step.finally;
    node.source = index;
    return node;
  }

  /// What one instance waits for; nullopt: what all of them together would.
  std::vector<std::uint32_t> needs(const std::vector<Edge> &edges, std::uint32_t step,
                                   std::optional<std::uint32_t> instance) {
    std::vector<std::uint32_t> result;
    PlanScope scope(impl(), {});
    scope.choose(step, instance.value_or(0));
    for (const Edge &edge : edges) {
      const Instances &other = impl().instances[edge.to];
      if (edge.key == nullptr || !instance) {
        result.push_back(other.barrier.value_or(other.first));
      } else if (const auto one = keyed_need(edge, other, scope)) {
        result.push_back(*one);
      }
    }
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
  }

  std::optional<std::uint32_t> keyed_need(const Edge &edge, const Instances &other, const PlanScope &scope) {
    if (other.is_open) return std::nullopt;
    try {
      const Evaluated key = evaluate(*edge.key, scope);
      if (key.unknown) return std::nullopt;
      return other.first + find_instance(other, pipeline().steps[edge.to], key.value);
    } catch (const EvaluationError &error) {
      // One mistake in the file is one error, however many instances it hits.
      if (reported_keys_.insert(edge.key).second) {
        diagnostics_.push_back(diagnose(pipeline().source, edge.spot, "no-instance", error.message));
        diagnostics_.back().help = error.help;
      }
      return std::nullopt;
    }
  }

  void secrets(const Binder &binder, std::vector<std::string> written) {
    plan_.secret_values = std::move(written);
    if (!resolve_secrets_) return;
    impl().secrets = resolve_secrets(pipeline(), binder.wanted_secrets, diagnostics_);
    impl().secrets_are_known = true;
    for (const std::optional<std::string> &secret : impl().secrets) {
      if (secret) plan_.secret_values.push_back(*secret);
    }
  }

  const Inputs &inputs_;
  PluginRegistry &registry_;
  bool resolve_secrets_;
  Plan plan_;
  Diagnostics diagnostics_;
  std::vector<const StepSchema *> schemas_;     // one a step
  std::vector<std::filesystem::path> plugins_;  // one a step
  std::vector<std::vector<StepUse>> uses_;      // one a step
  std::set<const Expression *> reported_keys_;
};

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

Plan::Plan() = default;
Plan::~Plan() = default;
Plan::Plan(Plan &&) noexcept = default;
Plan &Plan::operator=(Plan &&) noexcept = default;

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

PlanOutcome make_plan(const std::string &file, const Inputs &inputs, PluginRegistry &registry,
                      bool resolve_secrets) {
  return Planner(inputs, registry, resolve_secrets).make(file);
}

Plan single_step_plan(const std::string &step, const PluginRegistry::Found &found, Value::Map params,
                      std::vector<std::string> secret_values) {
  Plan plan;
  plan.name = step;
  plan.secret_values = std::move(secret_values);
  plan.impl = std::make_unique<Plan::Impl>();
  plan.impl->fixed = std::move(params);
  Node node;
  node.id = node.step = node.uses = step;
  node.plugin = found.path;
  node.schema = found.schema;
  plan.nodes.push_back(std::move(node));
  return plan;
}

}  // namespace pipes
