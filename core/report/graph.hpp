#pragma once
// What waits for what, to be looked at. Instances of a step are folded into one.
#include "core/base/value.hpp"
#include "core/report/movement.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pipes {

struct StepGraph {
  struct Node {
    std::string id, uses;
    std::size_t count = 1;  // of instances
    bool is_keyed = false, is_finally = false;
    std::vector<std::uint32_t> needs, followers;
  };
  std::string name;                  // of the pipeline
  std::vector<Node> nodes;           // in the order of the file
  std::vector<std::uint32_t> order;  // all of them, each behind what it waits for
};

/// Of what `described_steps` gives. A wait that follows from others is left out: of a, b after a, and c after
/// both, c only waits for b.
StepGraph step_graph(std::string name, const Value::List &steps);

/// An indented tree: a step stands below the last one that it waits for, in its column if nothing else does.
std::string graph_text(const StepGraph &, Glyphs);
std::string graph_dot(const StepGraph &);
std::string graph_mermaid(const StepGraph &);
/// A layered drawing. Each box is a group with the class `step` and its id in `data-step`. `page`: for a page
/// that has styles of its own for it.
enum class Svg { file, page };
std::string graph_svg(const StepGraph &, Svg);

/// A place for each node of a graph: layers from top to bottom, six nodes wide at most.
struct GraphLayout {
  struct Box {
    double x = 0, y = 0, width = 0, height = 0;  // of its upper left corner
  };
  struct Line {
    std::uint32_t from = 0, to = 0;
    std::vector<std::pair<double, double>> points;  // between them, where layers are crossed
  };
  std::vector<Box> boxes;  // one a node
  std::vector<Line> lines;
  double width = 0, height = 0;
  double finally_y = 0;  // where [[finally]] begins; 0: there is none
};
GraphLayout lay_out(const StepGraph &);
/// What a box says: the id, and below it what it uses and how often.
std::string box_title(const StepGraph::Node &);
std::string box_detail(const StepGraph::Node &);

/// Text in XML and HTML, quotes included.
std::string xml_text(std::string_view);

}  // namespace pipes
