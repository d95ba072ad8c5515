#include "core/report/graph.hpp"

#include "core/report/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

namespace pipes {
namespace {

constexpr std::size_t kLargest = 20'000;  // of graphs whose waits are thinned out: the square of it is held

const Value *member(const Value &step, std::string_view name) {
  return step.find(name);
}

std::string text(const Value &step, std::string_view name) {
  const Value *found = member(step, name);
  return found == nullptr ? std::string() : to_text(*found);
}

/// Each node behind what it waits for, else in the order of the file.
std::vector<std::uint32_t> ordered(const StepGraph &graph) {
  std::vector<std::size_t> waits;
  std::vector<std::uint32_t> ready, order;
  for (std::uint32_t i = 0; i < graph.nodes.size(); ++i) {
    waits.push_back(graph.nodes[i].needs.size());
    if (waits.back() == 0) ready.push_back(i);
  }
  for (std::size_t at = 0; at < ready.size(); ++at) {
    order.push_back(ready[at]);
    for (const std::uint32_t next : graph.nodes[ready[at]].followers) {
      if (--waits[next] == 0) ready.push_back(next);
    }
  }
  return order;
}

/// Leaves out what follows from other waits.
void thin_out(StepGraph &graph) {
  const std::size_t count = graph.nodes.size(), words = (count + 63) / 64;
  if (count > kLargest) return;
  std::vector<std::size_t> rank(count);
  for (std::size_t i = 0; i < graph.order.size(); ++i) rank[graph.order[i]] = i;
  std::vector<std::uint64_t> behind(count * words);  // a row a node: all that it comes after
  for (const std::uint32_t node : graph.order) {
    std::uint64_t *row = &behind[node * words];
    std::vector<std::uint32_t> needs = graph.nodes[node].needs, kept;
    std::ranges::sort(needs, std::greater(), [&](std::uint32_t need) { return rank[need]; });
    for (const std::uint32_t need : needs) {
      if ((row[need / 64] >> (need % 64) & 1U) != 0) continue;
      kept.push_back(need);
      const std::uint64_t *other = &behind[need * words];
      for (std::size_t i = 0; i < words; ++i) row[i] |= other[i];
      row[need / 64] |= std::uint64_t{1} << (need % 64);
    }
    std::ranges::sort(kept);
    graph.nodes[node].needs = std::move(kept);
  }
}

void follow(StepGraph &graph) {
  for (StepGraph::Node &node : graph.nodes) node.followers.clear();
  for (std::uint32_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::uint32_t need : graph.nodes[i].needs) graph.nodes[need].followers.push_back(i);
  }
}

/// Writes the tree line by line: what is to come lies on a stack, so that no depth is too great.
class TreeWriter {
 public:
  TreeWriter(const StepGraph &graph, Glyphs glyphs) : graph_(graph), glyphs_(glyphs) {}

  std::string write() {
    adopt();
    for (const bool in_finally : {false, true}) {
      bool is_first = true;
      for (const std::uint32_t node : graph_.order) {
        if (graph_.nodes[node].is_finally != in_finally || !graph_.nodes[node].needs.empty()) continue;
        if (is_first && in_finally) lines_.push_back({});
        if (is_first && in_finally)
          lines_.push_back({"", "finally, however the steps above end:", nullptr, {}});
        if (!is_first && !(is_lone(node) && was_lone_)) lines_.push_back({});
        was_lone_ = is_lone(node);
        is_first = false;
        tree(node);
      }
    }
    return text();
  }

 private:
  struct Line {
    std::string lead, title;
    const StepGraph::Node *node = nullptr;
    std::string also;
  };
  struct Open {
    std::uint32_t node;
    std::string lead, below;  // before it, and before what comes below
  };

  bool is_lone(std::uint32_t node) const { return children_[node].empty(); }

  /// Every node stands below one of those that it waits for: the one that comes last.
  void adopt() {
    children_.resize(graph_.nodes.size());
    parent_.resize(graph_.nodes.size());
    std::vector<std::size_t> depth(graph_.nodes.size());
    for (const std::uint32_t node : graph_.order) {
      const auto &needs = graph_.nodes[node].needs;
      if (needs.empty()) continue;
      const std::uint32_t last =
          *std::ranges::max_element(needs, {}, [&](std::uint32_t n) { return depth[n]; });
      depth[node] = depth[last] + 1;
      parent_[node] = last;
      children_[last].push_back(node);
    }
    for (auto &children : children_) std::ranges::sort(children);
  }

  void tree(std::uint32_t root) {
    const bool blocks = glyphs_ == Glyphs::blocks;
    std::vector<Open> open{{root, "", ""}};
    while (!open.empty()) {
      const Open at = std::move(open.back());
      open.pop_back();
      add(at);
      const auto &children = children_[at.node];
      if (children.size() == 1) {
        open.push_back({children.front(), at.below, at.below});
        continue;
      }
      for (std::size_t i = children.size(); i-- > 0;) {
        const bool is_last = i + 1 == children.size();
        const char *branch = blocks ? (is_last ? "└─" : "├─") : (is_last ? "`-" : "|-");
        const char *pass = is_last ? "  " : blocks ? "│ " : "| ";
        open.push_back({children[i], at.below + branch, at.below + pass});
      }
    }
  }

  void add(const Open &at) {
    const StepGraph::Node &node = graph_.nodes[at.node];
    std::string also;
    for (const std::uint32_t need : node.needs) {
      if (need != parent_[at.node])
        also += (also.empty() ? "also after " : ", ") + printable(graph_.nodes[need].id);
    }
    lines_.push_back(
        {at.lead + (glyphs_ == Glyphs::blocks ? "● " : "* "), printable(node.id), &node, std::move(also)});
  }

  std::string text() const {
    std::size_t titles = 0, details = 0;
    for (const Line &line : lines_) {
      if (line.node == nullptr) continue;
      titles = std::max(titles, std::min<std::size_t>(width(line.lead) + width(line.title), 60));
      details = std::max(details, std::min<std::size_t>(width(box_detail(*line.node)), 30));
    }
    const auto pad = [](std::size_t columns, std::size_t used) {
      return std::string(columns - std::min(columns, used), ' ');
    };
    std::string out;
    for (const Line &line : lines_) {
      out += line.lead + line.title;
      if (line.node != nullptr) {
        const std::string detail = box_detail(*line.node);
        out += pad(titles, width(line.lead) + width(line.title)) + "  " + detail;
        if (!line.also.empty()) out += pad(details, width(detail)) + "  " + line.also;
      }
      out += "\n";
    }
    return out;
  }

  const StepGraph &graph_;
  Glyphs glyphs_;
  std::vector<std::vector<std::uint32_t>> children_;
  std::vector<std::uint32_t> parent_;
  std::vector<Line> lines_;
  bool was_lone_ = false;
};

std::string dot_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::string mermaid_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    // Whatever has a meaning to Mermaid or in HTML, by its number.
    if (std::string_view("\"#<>&`;[]{}()|\\").find(c) != std::string_view::npos) {
      out += fmt::format("#{};", static_cast<int>(c));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

bool has_finally(const StepGraph &graph) {
  return std::ranges::any_of(graph.nodes, &StepGraph::Node::is_finally);
}

}  // namespace

StepGraph step_graph(std::string name, const Value::List &steps) {
  StepGraph graph;
  graph.name = std::move(name);
  std::unordered_map<std::string, std::uint32_t> by_id;  // of steps and of their instances
  std::vector<std::uint32_t> node_of(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::string id = text(steps[i], "id"), group = text(steps[i], "step");
    const std::string &title = group.empty() ? id : group;
    const auto [at, is_new] = by_id.emplace(title, static_cast<std::uint32_t>(graph.nodes.size()));
    node_of[i] = at->second;
    by_id.emplace(id, at->second);
    if (is_new) {
      StepGraph::Node &node = graph.nodes.emplace_back();
      node.id = title;
      node.uses = text(steps[i], "uses");
      node.is_keyed = !group.empty();
      node.is_finally = member(steps[i], "finally") != nullptr;
    } else {
      ++graph.nodes[at->second].count;
    }
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Value *needs = member(steps[i], "needs");
    if (needs == nullptr || needs->kind() != Value::Kind::list) continue;
    StepGraph::Node &node = graph.nodes[node_of[i]];
    for (const Value &need : needs->as_list()) {
      const auto at = by_id.find(to_text(need));
      // What is not part of it (--from), or of the steps before [[finally]], is no wait of this picture.
      if (at == by_id.end() || at->second == node_of[i]) continue;
      if (graph.nodes[at->second].is_finally == node.is_finally) node.needs.push_back(at->second);
    }
  }
  for (StepGraph::Node &node : graph.nodes) {
    std::ranges::sort(node.needs);
    node.needs.erase(std::unique(node.needs.begin(), node.needs.end()), node.needs.end());
  }
  follow(graph);
  graph.order = ordered(graph);
  thin_out(graph);
  follow(graph);
  return graph;
}

std::string box_title(const StepGraph::Node &node) {
  return printable(node.id);
}

std::string box_detail(const StepGraph::Node &node) {
  return node.is_keyed ? fmt::format("{} × {}", printable(node.uses), node.count) : printable(node.uses);
}

std::string graph_text(const StepGraph &graph, Glyphs glyphs) {
  return TreeWriter(graph, glyphs).write();
}

std::string graph_dot(const StepGraph &graph) {
  std::string out = fmt::format(
      "digraph {} {{\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n", dot_text(graph.name));
  const auto box = [&out](const StepGraph::Node &node, const char *indent) {
    // \n is a line end to dot, which dot_text must not hide.
    std::string label = dot_text(box_title(node));
    label.pop_back();
    label += "\\n" + dot_text(box_detail(node)).substr(1);
    out += fmt::format("{}{} [label={}{}];\n", indent, dot_text(node.id), label,
                       node.count > 1 ? ", peripheries=2" : "");
  };
  for (const StepGraph::Node &node : graph.nodes) {
    if (!node.is_finally) box(node, "  ");
  }
  if (has_finally(graph)) {
    out += "  subgraph cluster_finally {\n    label=\"finally\"; style=dashed;\n";
    for (const StepGraph::Node &node : graph.nodes) {
      if (node.is_finally) box(node, "    ");
    }
    out += "  }\n";
  }
  for (const StepGraph::Node &node : graph.nodes) {
    for (const std::uint32_t need : node.needs) {
      out += fmt::format("  {} -> {};\n", dot_text(graph.nodes[need].id), dot_text(node.id));
    }
  }
  return out + "}\n";
}

std::string graph_mermaid(const StepGraph &graph) {
  std::string out = "flowchart TD\n";
  const auto box = [&](std::size_t i, const char *indent) {
    const StepGraph::Node &node = graph.nodes[i];
    const char *open = node.count > 1 ? "[[" : "[", *close = node.count > 1 ? "]]" : "]";
    out += fmt::format("{}s{}{}\"{}<br/>{}\"{}\n", indent, i, open, mermaid_text(box_title(node)),
                       mermaid_text(box_detail(node)), close);
  };
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!graph.nodes[i].is_finally) box(i, "  ");
  }
  if (has_finally(graph)) {
    out += "  subgraph finally\n";
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].is_finally) box(i, "    ");
    }
    out += "  end\n";
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::uint32_t need : graph.nodes[i].needs) out += fmt::format("  s{} --> s{}\n", need, i);
  }
  return out;
}

}  // namespace pipes
