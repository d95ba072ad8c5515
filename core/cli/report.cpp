#include "core/report/report.hpp"
#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/run_name.hpp"
#include "core/cli/verbs.hpp"
#include "core/report/history.hpp"

#include <fmt/core.h>

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  return {{"format", "KIND", "html (default), junit, markdown or dotenv", false, report_kinds()},
          {"output", "FILE", "Where to; - is standard output (default: RUN.html, RUN.xml …, here)"}};
}

int run(const Words &words) {
  const auto args = arguments(kReport, words);
  if (!args) return 0;
  const Words &runs = words_of(*args, kReport, 0, 1);
  const auto folder = run_named(runs.empty() ? "last" : runs.front());
  const std::string kind = args->value("format").value_or("html");
  std::string file = args->value("output").value_or(
      fmt::format("{}.{}", folder.filename().string(), report_extension(kind)));
  if (file == "-") file.clear();
  const std::unique_ptr<Report> report = make_report({kind, file});
  replay(folder, [&report](const Event &e, std::string_view) { report->on(e); });
  report->finish();
  for (const std::string &remark : report->remarks()) print_error("warning: " + remark + "\n");
  if (!file.empty()) print(file + "\n");
  return 0;
}

}  // namespace

const Verb kReport{
    "report",
    "[RUN] [--format KIND] [--output FILE]",
    "Make a page of a run, to look at in a browser",
    "Makes a report of a run from its journal: one HTML file with timeline, graph, steps, what moved and\n"
    "the log, which needs no network; or JUnit's XML, a page in Markdown, or the outputs as a dotenv file. "
    "RUN is named as for `pipe log`; `last` is meant\n"
    "without it. `pipe run FILE --report html=FILE` writes the same while it runs.\n\n"
    "  pipe report last --output report.html",
    options,
    run};

}  // namespace pipes::cli
