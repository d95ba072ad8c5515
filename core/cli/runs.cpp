#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/run_name.hpp"
#include "core/cli/verbs.hpp"
#include "core/report/history.hpp"
#include "core/report/json_event.hpp"
#include "core/report/text.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace pipes::cli {
namespace {

constexpr std::size_t kLimit = 20;

std::vector<Option> options() {
  return {{"limit", "N", fmt::format("Show the newest N (default: {}; 0: all)", kLimit)},
          {"output", "FORM", "text or json", false, {"text", "json"}}};
}

std::size_t parse_limit(const std::string &text) {
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(Exit::usage, fmt::format("`--limit {}`: expected a number, 0 for all", text));
  }
  return limit;
}

std::string local_time(std::chrono::system_clock::time_point at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return text.data();
}

/// What was done: the pipeline, and where it was no run, what it was.
std::string what(const RunRecord &r) {
  if (r.file.empty()) return "step " + r.pipeline;
  return r.operation == Operation::undo ? r.pipeline + " (down)" : r.pipeline;
}

Tone tone(const std::string &status) {
  if (status == "ok") return Tone::good;
  return status == "running" ? Tone::bold : status == "cancelled" ? Tone::changed : Tone::bad;
}

std::string figures(const Counts &c) {
  std::string out;
  const auto add = [&out](const char *name, int count) {
    if (count > 0) out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, count);
  };
  add("changed", c.changed);
  add("unchanged", c.unchanged);
  add("undone", c.undone);
  add("failed", c.failed);
  add("skipped", c.skipped);
  add("cancelled", c.cancelled);
  add("not_run", c.not_run);
  return out;
}

std::string table(const std::vector<RunRecord> &runs, Color color) {
  std::size_t id = 3, name = 8;
  for (const RunRecord &r : runs) {
    id = std::max(id, width(r.id));
    name = std::max(name, width(printable(what(r))));
  }
  std::string out = paint(fmt::format("{}  {:<19}  {}  {:<9}  {:>7}", padded("RUN", id), "WHEN",
                                      padded("PIPELINE", name), "RESULT", "TIME"),
                          Tone::faint, color) +
                    "\n";
  for (const RunRecord &r : runs) {
    out += fmt::format("{}  {}  {}  {}  {:>7}  {}", padded(r.id, id), local_time(r.began),
                       padded(printable(what(r)), name), paint(padded(r.status, 9), tone(r.status), color),
                       elapsed_text(r.elapsed), figures(r.counts));
    while (out.ends_with(' ')) out.pop_back();
    out += "\n";
  }
  return out;
}

Value described(const RunRecord &r) {
  Value::Map map{{"id", r.id},
                 {"time", timestamp(r.began)},
                 {"pipeline", r.pipeline},
                 {"operation", operation_name(r.operation)},
                 {"status", r.status},
                 {"elapsed_ms", std::int64_t{r.elapsed.count()}},
                 {"folder", r.folder.string()}};
  if (!r.file.empty()) map.emplace_back("file", r.file);
  const Counts &c = r.counts;
  map.emplace_back("counts", Value::Map{{"changed", c.changed},
                                        {"unchanged", c.unchanged},
                                        {"failed", c.failed},
                                        {"skipped", c.skipped},
                                        {"cancelled", c.cancelled},
                                        {"not_run", c.not_run},
                                        {"retried", c.retried},
                                        {"undone", c.undone}});
  return map;
}

std::string nothing(const Words &pipelines) {
  if (pipelines.empty()) return "no run is on record";
  std::vector<std::string> names;
  for (const auto &folder : run_folders()) names.push_back(pipeline_part(folder.filename().string()));
  const std::string close = did_you_mean(pipelines.front(), names);
  return fmt::format("no run of `{}` is on record{}", pipelines.front(), close.empty() ? "" : "; " + close);
}

int run(const Words &words) {
  const auto args = arguments(kRuns, words);
  if (!args) return 0;
  const std::string form = args->value("output").value_or("text");
  const Words &pipelines = words_of(*args, kRuns, 0, 1);
  std::size_t limit = kLimit;
  if (const auto text = args->value("limit")) limit = parse_limit(*text);

  const std::string named = pipelines.empty() ? std::string() : pipelines.front();
  const auto file = file_named(named);
  auto folders = run_folders(file ? std::string() : named);
  if (file) std::erase_if(folders, [&](const auto &folder) { return !is_of(run_record(folder), *file); });
  std::vector<RunRecord> runs;
  for (const auto &folder : folders) {
    if (limit != 0 && runs.size() == limit) break;
    runs.push_back(run_record(folder));
  }
  if (form == "json") {
    Value::List list;
    for (const RunRecord &r : runs) list.push_back(described(r));
    print(to_json(Value(std::move(list))) + "\n");
  } else if (runs.empty()) {
    print_error(nothing(pipelines) + "\n");
  } else {
    print(table(runs, colored(STDOUT_FILENO) ? Color::on : Color::off));
    if (folders.size() > runs.size()) {
      print_error(fmt::format("and {} older; --limit 0 shows all\n", folders.size() - runs.size()));
    }
  }
  return 0;
}

}  // namespace

const Verb kRuns{
    "runs",
    "[PIPELINE] [--limit N] [--output json]",
    "List the runs that are on record",
    "Lists runs, the newest first: id, when, pipeline, result, how long it took; those of one PIPELINE, by "
    "its\n"
    "name or file. `pipe log RUN` shows what was said in one, `pipe run --resume RUN` goes on with one that\n"
    "failed.\n\n"
    "  pipe runs registry --limit 5",
    options,
    run};

}  // namespace pipes::cli
