#include "core/plan/expand.hpp"

#include <algorithm>
#include <numeric>
#include <set>

namespace pipes {
namespace {

using Edges = std::vector<std::vector<Edge>>;

class Connector {
 public:
  Connector(Plan &plan, const std::vector<const StepSchema *> &schemas,
            const std::vector<std::filesystem::path> &plugins, Diagnostics &diagnostics)
      : plan_(plan), impl_(*plan.impl), schemas_(schemas), plugins_(plugins), diagnostics_(diagnostics) {}

  void connect(const Edges &edges) {
    make_nodes(edges);
    for (std::uint32_t i = 0; i < edges.size(); ++i) {
      const Instances &instances = impl_.instances[i];
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

 private:
  /// Instances of a step stand together, with the barrier behind them if something waits for them all:
  /// n + m edges through one node instead of n * m.
  void make_nodes(const Edges &edges) {
    std::vector<bool> is_awaited(edges.size());
    for (std::uint32_t i = 0; i < edges.size(); ++i) {
      for (const Edge &edge : edges[i]) {
        if (edge.key == nullptr || impl_.instances[i].count == 0) is_awaited[edge.to] = true;
      }
    }
    std::size_t count = 0;
    for (const Instances &instances : impl_.instances) count += instances.count + 1;
    plan_.nodes.reserve(count);
    for (std::uint32_t i = 0; i < edges.size(); ++i) {
      Instances &instances = impl_.instances[i];
      instances.first = static_cast<std::uint32_t>(plan_.nodes.size());
      for (std::uint32_t at = 0; at < instances.count; ++at) plan_.nodes.push_back(make_node(i, at));
      if (!is_awaited[i] || instances.count == 1) continue;
      instances.barrier = static_cast<std::uint32_t>(plan_.nodes.size());
      Node barrier;
      barrier.id = barrier.step = impl_.pipeline.steps[i].id;
      barrier.barrier = true;
      barrier.finally = impl_.pipeline.steps[i].finally;
      barrier.source = i;
      plan_.nodes.push_back(std::move(barrier));
    }
  }

  Node make_node(std::uint32_t index, std::uint32_t instance) {
    const Step &step = impl_.pipeline.steps[index];
    Node node;
    node.step = step.id;
    node.id = step.id;
    if (step.for_each) {
      node.key = impl_.instances[index].keys[instance];
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
    PlanScope scope(impl_, {});
    scope.choose(step, instance.value_or(0));
    for (const Edge &edge : edges) {
      const Instances &other = impl_.instances[edge.to];
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
      return other.first + find_instance(other, impl_.pipeline.steps[edge.to], key.value);
    } catch (const EvaluationError &error) {
      // One mistake in the file is one error, however many instances it hits.
      if (reported_keys_.insert(edge.key).second) {
        diagnostics_.push_back(diagnose(impl_.pipeline.source, edge.spot, "no-instance", error.message));
        diagnostics_.back().help = error.help;
      }
      return std::nullopt;
    }
  }

  Plan &plan_;
  Plan::Impl &impl_;
  const std::vector<const StepSchema *> &schemas_;
  const std::vector<std::filesystem::path> &plugins_;
  Diagnostics &diagnostics_;
  std::set<const Expression *> reported_keys_;
};

}  // namespace

void connect_nodes(Plan &plan, const Edges &edges, const std::vector<const StepSchema *> &schemas,
                   const std::vector<std::filesystem::path> &plugins, Diagnostics &diagnostics) {
  Connector(plan, schemas, plugins, diagnostics).connect(edges);
}

}  // namespace pipes
