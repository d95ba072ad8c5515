#include "core/plan/graph.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

using Edges = std::vector<std::vector<Edge>>;

/// Circles that are reported, and the steps of a long one that are shown at each end.
constexpr int kMaxCycles = 10;
constexpr std::size_t kShownEnds = 4;
/// Edges that the search for the shortest circle may look at once it has found one.
constexpr std::size_t kMaxSearch = 5'000'000;

void add_need(const Pipeline &pipeline, const Step &step, const Step::Need &need, Binder &binder,
              Diagnostics &diagnostics, std::vector<Edge> &edges) {
  const auto found = binder.find_step(need.id);
  if (!found) {
    Diagnostic d =
        diagnose(pipeline.source, need.spot, "unknown-step", fmt::format("there is no step `{}`", need.id));
    d.help = binder.suggest_step(need.id);
    diagnostics.push_back(std::move(d));
    return;
  }
  const Step &other = pipeline.steps[*found];
  if (other.finally && !step.finally) {
    diagnostics.push_back(
        diagnose(pipeline.source, need.spot, "late-step",
                 fmt::format("step `{}` is in [[finally]], which runs after this", need.id)));
    return;
  }
  // [[finally]] begins when every [[step]] has ended: that needs no edge.
  if (other.finally == step.finally) edges.push_back({*found, Edge::Why::needs, nullptr, need.spot});
}

class CycleFinder {
 public:
  explicit CycleFinder(const Edges &edges)
      : edges_(edges), is_out_(edges.size()), seen_(edges.size()), by_(edges.size()) {}

  /// Steps in the order in which each waits for the next, and the last for the first; empty: none.
  std::vector<std::uint32_t> next() {
    trim();
    std::vector<std::uint32_t> best;
    std::size_t looked_at = 0;
    // Every circle has an edge to the same or a later step of the file: there are few of those.
    for (std::uint32_t from = 0; from < edges_.size(); ++from) {
      if (is_out_[from]) continue;
      for (const Edge &edge : edges_[from]) {
        if (edge.to < from || is_out_[edge.to]) continue;
        if (!best.empty() && looked_at > kMaxSearch) return best;
        std::vector<std::uint32_t> path = shortest_path(edge.to, from, best.size(), looked_at);
        if (!path.empty()) best = std::move(path);
      }
    }
    return best;
  }

  void remove(const std::vector<std::uint32_t> &steps) {
    for (const std::uint32_t step : steps) is_out_[step] = true;
  }

 private:
  /// Takes out, again and again, what waits for nothing: none of that is in a circle.
  void trim() {
    const auto count = static_cast<std::uint32_t>(edges_.size());
    std::vector<std::uint32_t> waits(count), ready;
    std::vector<std::vector<std::uint32_t>> followers(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (is_out_[i]) continue;
      for (const Edge &edge : edges_[i]) {
        if (is_out_[edge.to]) continue;
        ++waits[i];
        followers[edge.to].push_back(i);
      }
      if (waits[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      const std::uint32_t done = ready.back();
      ready.pop_back();
      is_out_[done] = true;
      for (const std::uint32_t follower : followers[done]) {
        if (--waits[follower] == 0) ready.push_back(follower);
      }
    }
  }

  /// From `from` along its edges to `to`, if that is shorter than `limit` steps (0: any length).
  std::vector<std::uint32_t> shortest_path(std::uint32_t from, std::uint32_t to, std::size_t limit,
                                           std::size_t &looked_at) {
    ++round_;
    std::vector<std::uint32_t> level{from}, following;
    seen_[from] = round_;
    by_[from] = from;
    for (std::size_t length = 1; !level.empty() && (limit == 0 || length < limit); ++length) {
      for (const std::uint32_t at : level) {
        if (at == to) return path_to(to, from);
        for (const Edge &edge : edges_[at]) {
          ++looked_at;
          if (is_out_[edge.to] || seen_[edge.to] == round_) continue;
          seen_[edge.to] = round_;
          by_[edge.to] = at;
          following.push_back(edge.to);
        }
      }
      level.swap(following);
      following.clear();
    }
    return {};
  }

  std::vector<std::uint32_t> path_to(std::uint32_t to, std::uint32_t from) const {
    std::vector<std::uint32_t> path{to};
    while (path.back() != from) path.push_back(by_[path.back()]);
    std::reverse(path.begin(), path.end());
    // The circle begins with the step whose edge leads back into the file.
    std::rotate(path.begin(), path.end() - 1, path.end());
    return path;
  }

  const Edges &edges_;
  std::vector<bool> is_out_;
  std::vector<std::uint32_t> seen_, by_;
  std::uint32_t round_ = 0;
};

const Edge &edge_between(const Edges &edges, std::uint32_t from, std::uint32_t to) {
  return *std::find_if(edges[from].begin(), edges[from].end(), [&](const Edge &e) { return e.to == to; });
}

std::string describe(const Edge &edge) {
  switch (edge.why) {
    case Edge::Why::needs:
      return "needs";
    case Edge::Why::reads:
      return "reads an output of";
    case Edge::Why::follows:
      return "follows, being written below it,";
  }
  return {};
}

void report(const Pipeline &pipeline, const Edges &edges, const std::vector<std::uint32_t> &cycle,
            Diagnostics &diagnostics) {
  const auto id = [&](std::size_t i) { return pipeline.steps[cycle[i % cycle.size()]].id; };
  const bool is_long = cycle.size() > 2 * kShownEnds;
  std::string circle;
  Diagnostic d =
      diagnose(pipeline.source, edge_between(edges, cycle[0], cycle[1 % cycle.size()]).spot, "cycle", "");
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    if (is_long && i == kShownEnds) circle += fmt::format("({} more) -> ", cycle.size() - 2 * kShownEnds);
    if (is_long && i >= kShownEnds && i < cycle.size() - kShownEnds) continue;
    circle += id(i) + " -> ";
    const Edge &edge = edge_between(edges, cycle[i], cycle[(i + 1) % cycle.size()]);
    d.notes.push_back(
        fmt::format("`{}` {} `{}` (line {})", id(i), describe(edge), id(i + 1), edge.spot.line));
  }
  d.message = cycle.size() == 1 ? fmt::format("step `{}` waits for itself", id(0))
                                : fmt::format("steps wait for each other: {}{}", circle, id(0));
  d.label = fmt::format("waits for `{}`", id(1));
  if (cycle.size() == 1) d.notes.clear();
  const bool follows = std::any_of(cycle.begin(), cycle.end(), [&](const std::uint32_t &step) {
    const std::size_t at = static_cast<std::size_t>(&step - cycle.data());
    return edge_between(edges, step, cycle[(at + 1) % cycle.size()]).why == Edge::Why::follows;
  });
  d.help = follows ? "write the steps in another order, or say with `needs` what each really waits for"
                   : "let one of them do without the other";
  diagnostics.push_back(std::move(d));
}

}  // namespace

Edges step_edges(const Pipeline &pipeline, const std::vector<std::vector<StepUse>> &uses, Binder &binder,
                 Diagnostics &diagnostics) {
  Edges edges(pipeline.steps.size());
  for (std::uint32_t i = 0; i < edges.size(); ++i) {
    const Step &step = pipeline.steps[i];
    bool reads_instances_above = false;
    for (const StepUse &use : uses[i]) {
      if (pipeline.steps[use.step].finally != step.finally) continue;
      edges[i].push_back({use.step, Edge::Why::reads, use.key, use.spot});
      reads_instances_above = reads_instances_above || (use.step + 1 == i && use.key != nullptr);
    }
    if (step.needs) {
      for (const Step::Need &need : *step.needs)
        add_need(pipeline, step, need, binder, diagnostics, edges[i]);
    } else if (i > 0 && pipeline.steps[i - 1].finally == step.finally && !reads_instances_above) {
      edges[i].push_back({i - 1, Edge::Why::follows, nullptr, step.uses_spot});
    }
  }
  return edges;
}

bool check_cycles(const Pipeline &pipeline, const Edges &edges, Diagnostics &diagnostics) {
  CycleFinder finder(edges);
  for (int found = 0; found < kMaxCycles; ++found) {
    const std::vector<std::uint32_t> cycle = finder.next();
    if (cycle.empty()) return found == 0;
    report(pipeline, edges, cycle, diagnostics);
    finder.remove(cycle);
  }
  return false;
}

}  // namespace pipes
