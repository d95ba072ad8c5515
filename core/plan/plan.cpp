#include "core/plan/plan.hpp"

#include "core/base/error.hpp"
#include "core/pipeline/variables.hpp"
#include "core/plan/check.hpp"
#include "core/plan/expand.hpp"
#include "core/plan/graph.hpp"
#include "core/plan/plan_impl.hpp"

#include <fmt/core.h>

#include <unordered_map>
#include <utility>

namespace pipes {
namespace {

/// Works in the order of the words in plan.hpp: read, check, plan. Each part goes on after mistakes of
/// the one before it, as far as it can say something that is not a consequence of them.
class Planner {
 public:
  Planner(const Inputs &inputs, PluginRegistry &registry, SecretNeed secrets)
      : inputs_(inputs), registry_(registry), secrets_(secrets) {}

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
    impl().variables = resolve_variables(pipeline(), inputs_.set, inputs_.var_files,
                                         secrets_ != SecretNeed::placeholder, diagnostics_);
    find_plugins();
    Binder binder(pipeline(), schemas_, diagnostics_);
    ParameterChecker checker(impl(), binder, diagnostics_);
    check_steps(binder, checker);
    const auto edges = step_edges(pipeline(), uses_, binder, diagnostics_);
    const bool is_acyclic = check_cycles(pipeline(), edges, diagnostics_);
    expand_for_each(impl(), diagnostics_);
    if (is_acyclic) connect_nodes(plan_, edges, schemas_, plugins_, diagnostics_);
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

  void secrets(const Binder &binder, std::vector<std::string> written) {
    plan_.secret_values = std::move(written);
    if (secrets_ == SecretNeed::placeholder) return;
    impl().secrets =
        resolve_secrets(pipeline(), binder.wanted_secrets, secrets_ == SecretNeed::needed, diagnostics_);
    impl().secrets_are_known = true;
    for (const std::optional<std::string> &secret : impl().secrets) {
      if (secret) plan_.secret_values.push_back(*secret);
    }
  }

  const Inputs &inputs_;
  PluginRegistry &registry_;
  SecretNeed secrets_;
  Plan plan_;
  Diagnostics diagnostics_;
  std::vector<const StepSchema *> schemas_;     // one a step
  std::vector<std::filesystem::path> plugins_;  // one a step
  std::vector<std::vector<StepUse>> uses_;      // one a step
};

}  // namespace

Plan::Plan() = default;
Plan::~Plan() = default;
Plan::Plan(Plan &&) noexcept = default;
Plan &Plan::operator=(Plan &&) noexcept = default;

PlanOutcome make_plan(const std::string &file, const Inputs &inputs, PluginRegistry &registry,
                      SecretNeed secrets) {
  return Planner(inputs, registry, secrets).make(file);
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
