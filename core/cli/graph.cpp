#include "core/report/graph.hpp"
#include "core/base/error.hpp"
#include "core/cli/ci.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"
#include "core/report/terminal.hpp"

#include <fmt/core.h>

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  std::vector<Option> all{
      {"format", "FORM", "text (default), dot, mermaid or svg", false, {"text", "dot", "mermaid", "svg"}}};
  for (const Option &option : input_options()) all.push_back(option);
  all.push_back({"plugin-path", "DIR", "Look for plugins here first; may be given several times"});
  return all;
}

std::string drawn(const StepGraph &graph, const std::string &form) {
  if (form == "text") return graph_text(graph, terminal_glyphs());
  if (form == "dot") return graph_dot(graph);
  if (form == "mermaid") return graph_mermaid(graph);
  return graph_svg(graph, Svg::file);
}

int run(const Words &words) {
  const auto args = arguments(kGraph, words);
  if (!args) return 0;
  const std::string form = args->value("format").value_or("text");
  const std::string file = one_file(*args);
  PluginRegistry plugins = registry(*args);
  const PlanOutcome outcome = make_plan(file, inputs(*args), plugins, SecretNeed::placeholder);
  print_diagnostics(outcome.diagnostics, Ci::none);
  if (!outcome.plan) return static_cast<int>(invalid_code(outcome.diagnostics));
  print(drawn(step_graph(outcome.plan->name, described_steps(*outcome.plan, {}, true)), form));
  return 0;
}

}  // namespace

const Verb kGraph{
    "graph",
    "FILE [--format text|dot|mermaid|svg]",
    "Draw which steps wait for which",
    "Draws the steps of a pipeline, and runs nothing. A step stands below what it waits for; the instances\n"
    "of a for_each are folded into one, and a wait that follows from others is left out.\n\n"
    "  pipe graph pipelines/registry.toml\n"
    "  pipe graph pipelines/registry.toml --format svg > registry.svg",
    options,
    run};

}  // namespace pipes::cli
