#include "core/report/graph.hpp"
#include "core/report/text.hpp"

#include <fmt/core.h>

#include <iterator>

namespace pipes {
namespace {

constexpr double kBox = 46;  // the height that a bend passes through

// Colours by variables, so that a page may have its own.
constexpr const char *kStyle = R"(<style>
.graph{--paper:#fff;--ink:#1c2330;--faint:#5b6575;--box:#f6f8fb;--edge:#c3cad6;--line:#8b95a5;background:var(--paper)}
@media(prefers-color-scheme:dark){.graph{--paper:#12161d;--ink:#e6eaf0;--faint:#98a2b3;--box:#1b212b;--edge:#3a4454;--line:#6b7688}}
.graph text{font-family:system-ui,sans-serif;fill:var(--ink)}.graph .title{font-size:13px;font-weight:600}
.graph .detail,.graph .part{font-size:11.5px;fill:var(--faint)}.graph rect{fill:var(--box);stroke:var(--edge);stroke-width:1.2}
.graph path{fill:none;stroke:var(--line);stroke-width:1.3}.graph .divide{stroke-dasharray:5 5;stroke:var(--edge)}
.graph marker path{fill:var(--line);stroke:none}
</style>)";

void add_line(const StepGraph &graph, const GraphLayout &layout, const GraphLayout::Line &line,
              std::string &out) {
  const GraphLayout::Box &from = layout.boxes[line.from], &to = layout.boxes[line.to];
  double x = from.x + from.width / 2, y = from.y + from.height;
  auto end = std::back_inserter(out);
  fmt::format_to(end, "<path d=\"M{:.1f} {:.1f}", x, y);
  const auto curve = [&](double to_x, double to_y) {
    const double middle = (y + to_y) / 2;
    fmt::format_to(end, "C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", x, middle, to_x, middle, to_x, to_y);
    x = to_x;
    y = to_y;
  };
  for (const auto &[bend_x, bend_y] : line.points) {
    curve(bend_x, bend_y);
    y = bend_y + kBox;
    fmt::format_to(end, "V{:.1f}", y);
  }
  curve(to.x + to.width / 2, to.y - (graph.nodes[line.to].count > 1 ? 10 : 5));
  out += "\" marker-end=\"url(#tip)\"/>\n";
}

void add_box(const StepGraph::Node &node, const GraphLayout::Box &box, std::string &out) {
  auto end = std::back_inserter(out);
  fmt::format_to(end, "<g class=\"step\" data-step=\"{}\"><title>{}: {}</title>", xml_text(node.id),
                 xml_text(node.id), xml_text(box_detail(node)));
  const auto rect = [&](double by) {
    fmt::format_to(end, "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"8\"/>",
                   box.x + by, box.y - by, box.width, box.height);
  };
  if (node.count > 1) rect(5);
  rect(0);
  const auto text = [&](const char *kind, double y, const std::string &what) {
    fmt::format_to(end, "<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", kind,
                   box.x + box.width / 2, box.y + y, xml_text(what));
  };
  text("title", 20, fit(box_title(node), 28));
  text("detail", 36, fit(box_detail(node), 32));
  out += "</g>\n";
}

}  // namespace

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML 1.0 has no way to write control characters.
        out.push_back(static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c);
    }
  }
  return out;
}

std::string graph_svg(const StepGraph &graph, Svg use) {
  const GraphLayout layout = lay_out(graph);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" role=\"img\" aria-label=\"{}\" "
      "width=\"{:.0f}\" "
      "height=\"{:.0f}\" viewBox=\"0 0 {:.0f} {:.0f}\">\n",
      xml_text("Steps of " + graph.name), layout.width, layout.height, layout.width, layout.height);
  if (use == Svg::file) out += std::string(kStyle) + "\n";
  out +=
      "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"3\" refY=\"4\" markerWidth=\"7\" "
      "markerHeight=\"7\" "
      "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n";
  if (layout.finally_y > 0) {
    out += fmt::format(
        "<path class=\"divide\" d=\"M8 {0:.1f}H{1:.1f}\"/><text class=\"part\" x=\"10\" "
        "y=\"{2:.1f}\">finally</text>\n",
        layout.finally_y, layout.width - 8, layout.finally_y + 16);
  }
  for (const GraphLayout::Line &line : layout.lines) add_line(graph, layout, line, out);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) add_box(graph.nodes[i], layout.boxes[i], out);
  return out + "</svg>\n";
}

}  // namespace pipes
