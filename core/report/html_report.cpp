#include "core/report/graph.hpp"
#include "core/report/html_files.hpp"
#include "core/report/json_event.hpp"
#include "core/report/report.hpp"

#include <fmt/core.h>

namespace pipes {
namespace {

constexpr std::string_view kStyle = "/*STYLE*/", kEvents = "<!--EVENTS-->", kScript = "/*SCRIPT*/";

/// JSON that may stand in a script element: nothing in it can end that, or begin a comment. Outside of
/// strings JSON has no `<`.
std::string for_script(std::string_view json) {
  std::string out;
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

/// The parts of the page before, between and behind the places that are filled in.
struct Page {
  std::string_view head, body, end, tail;
};

Page page() {
  const std::string_view whole = html_file("page.html");
  const std::size_t style = whole.find(kStyle), events = whole.find(kEvents), script = whole.find(kScript);
  return {whole.substr(0, style), whole.substr(style + kStyle.size(), events - style - kStyle.size()),
          whole.substr(events + kEvents.size(), script - events - kEvents.size()),
          whole.substr(script + kScript.size())};
}

}  // namespace

HtmlReport::HtmlReport(std::string path) : file_(std::move(path)) {
  file_.write(page().head);
  file_.write(html_file("style.css"));
  file_.write(page().body);
  file_.write("<script type=\"application/json\" id=\"events\">[\n");
  file_.write(for_script(version_line()));
}

void HtmlReport::on(const Event &e) {
  if (e.type == Event::Type::run_started) {
    pipeline_ = e.pipeline;
    steps_ = e.steps;
  }
  file_.write(",");
  file_.write(for_script(to_json_line(e)));
}

void HtmlReport::finish() {
  file_.write("]</script>\n<template id=\"graph-drawing\">\n");
  file_.write(graph_svg(step_graph(pipeline_, steps_), Svg::page));
  file_.write("</template>");
  file_.write(page().end);
  file_.write(html_file("page.js"));
  file_.write(page().tail);
  file_.finish();
}

}  // namespace pipes
