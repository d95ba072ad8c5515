#include "core/base/error.hpp"
#include "core/cli/resume.hpp"
#include "core/cli/session.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes::cli {
namespace {

std::vector<Option> options() {
  return file_options(
      {{"dry-run", "", "Only say what would change, as `pipe plan` does"},
       {"resume", "",
        "Go on with a run that failed: the word is the run, or its file (default: the last run)"},
       {"from", "STEP", "Run only this step and all that come after it; may be given several times"},
       {"only", "STEP", "Run only this step; may be given several times"},
       {"explain", "", "Say of each step why it ran or did not"},
       {"report", "KIND=FILE",
        "Write a report of the run, too: html, junit, markdown or dotenv; may be given several times"}});
}

int run(const Words &words) {
  const auto args = arguments(kRun, words);
  if (!args) return 0;
  for (const char *other : {"resume", "from", "only"}) reject_together(*args, "dry-run", other);
  for (const char *other : {"from", "only"}) reject_together(*args, "resume", other);
  SessionOptions how = session_options(*args);
  if (args->has("dry-run")) how.operation = Operation::plan;
  how.explain = args->has("explain");
  for (const std::string &text : args->values("report")) {
    const ReportOrder order = parse_report(text);
    if (std::ranges::find(how.reports, order.file, &ReportOrder::file) != how.reports.end())
      throw Error(Exit::usage, fmt::format("two reports cannot be the one file {}", order.file),
                  "give each a name of its own");
    how.reports.push_back(order);
  }

  Resumed what;
  if (args->has("resume")) {
    std::optional<Resumed> resumed = resume(*args);
    if (!resumed) return 0;
    what = std::move(*resumed);
    how.plugin_path = what.plugin_path;
  } else {
    what = {
        one_file(*args), inputs(*args), how.plugin_path, {{args->values("from"), args->values("only")}, {}}};
  }
  FileSession file(std::move(what.file), std::move(what.inputs), how);
  const std::optional<Plan> plan = file.read();
  return plan ? exit_code(file.execute(*plan, std::move(what.start))) : file.code;
}

}  // namespace

const Verb kRun{
    "run",
    "FILE [--set NAME=VALUE] [--var-file FILE] [--dry-run] [--from STEP] [--only STEP] …",
    "Run a pipeline",
    "Runs the steps of a pipeline file. A step with nothing to do is `unchanged`, so running it again\n"
    "after a failure goes on where it stopped. Progress goes to stderr, the outputs of the pipeline to\n"
    "stdout. Ctrl-C once: start nothing more and ask what runs to stop; twice: kill it; three times: out.\n\n"
    "`pipe run --resume [RUN|FILE]` goes on with a run that failed: the same file and settings; a step that\n"
    "ended well is kept, with its outputs, if it would be given the same and nothing before it has "
    "changed.\n\n"
    "A FILE that is not here is looked for among what is installed with `pipe`, in PREFIX/share/pipe: so\n"
    "`pipelines/registry.toml` can be run from any folder.\n\n"
    "  pipe run pipelines/registry.toml\n"
    "  pipe run pipelines/registry.toml --set port=5001 --output plain",
    options,
    run};

}  // namespace pipes::cli
