#include "core/cli/resume.hpp"

#include "core/cli/print.hpp"
#include "core/cli/run_name.hpp"
#include "core/plan/settings.hpp"
#include "core/report/history.hpp"
#include "core/run/paths.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

namespace pipes::cli {
namespace {

namespace fs = std::filesystem;

bool is_run(const RunRecord &record) {
  return record.operation == Operation::run && !record.file.empty();
}

std::string text(const Value::Map &about, std::string_view name) {
  const auto at = std::ranges::find(about, name, &Value::Map::value_type::first);
  return at == about.end() ? std::string() : to_text(at->second);
}

std::vector<std::string> words(const Value::Map &about, std::string_view name) {
  const auto at = std::ranges::find(about, name, &Value::Map::value_type::first);
  std::vector<std::string> list;
  if (at == about.end() || at->second.kind() != Value::Kind::list) return list;
  for (const Value &item : at->second.as_list()) list.push_back(to_text(item));
  return list;
}

/// The newest run, of the file if there is one. Throws Error.
fs::path newest(const std::optional<fs::path> &file) {
  for (const fs::path &folder : run_folders()) {
    const RunRecord record = run_record(folder);
    if (!is_run(record)) continue;
    if (!file || is_of(record, *file)) return folder;
  }
  throw Error(Exit::usage,
              file ? fmt::format("no run of {} is on record", file->string()) : "no run is on record",
              "`pipe run FILE` makes one");
}

fs::path chosen_run(const Arguments &args) {
  if (args.words().size() > 1) {
    throw Error(Exit::usage, fmt::format("`{}` is one word too many", args.words()[1]),
                "--resume takes one run, or one file for its last run");
  }
  if (args.words().empty() || args.words().front() == "last") return newest(std::nullopt);
  const std::string &word = args.words().front();
  const auto file = file_named(word);
  return file ? newest(file) : find_run(word);
}

/// The settings of that run, but for those that are given anew.
Inputs inputs_of(const Value::Map &settings, const Inputs &given) {
  Inputs all;
  for (const auto &[name, value] : settings) {
    const bool is_given = std::ranges::any_of(given.set, [&](const auto &set) { return set.first == name; });
    if (is_given) continue;
    if (has_masked({{name, value}})) {
      throw Error(Exit::usage, fmt::format("`{}` held a secret in that run, and is not on record", name),
                  fmt::format("give it again: --set {}=VALUE", name));
    }
    all.set.emplace_back(name, as_given(value));
  }
  all.set.insert(all.set.end(), given.set.begin(), given.set.end());
  return all;
}

void enter(const std::string &folder) {
  std::error_code error;
  if (folder.empty() || fs::equivalent(folder, fs::current_path(error), error)) return;
  fs::current_path(folder, error);
  if (error) {
    throw Error(Exit::usage,
                fmt::format("cannot go to {}, where that run was started: {}", folder, error.message()));
  }
  print_error(fmt::format("in {}\n", folder));
}

}  // namespace

std::optional<Resumed> resume(const Arguments &args) {
  if (args.has("var-file")) {
    throw Error(Exit::usage, "`--resume` takes the settings of the run that it goes on with",
                "change one of them by --set NAME=VALUE");
  }
  const fs::path folder = chosen_run(args);
  const RunRecord record = run_record(folder);
  if (!is_run(record)) {
    throw Error(Exit::usage, fmt::format("{} cannot be gone on with: it was no `pipe run`", record.id),
                "do again what it was; what is done already is not done twice");
  }
  if (record.status == "running") {
    throw Error(Exit::usage, fmt::format("run {} is still under way", record.id), "wait for it to end");
  }
  if (record.status == "ok") {
    print_error(fmt::format("run {} ended well: there is nothing to go on with\n", record.id));
    return std::nullopt;
  }
  Past past = past_run(folder);
  const Value::Map &about = past.started.fields;
  Resumed resumed;
  resumed.file = record.file;
  const auto settings = std::ranges::find(about, "settings", &Value::Map::value_type::first);
  const bool has_settings = settings != about.end() && settings->second.kind() == Value::Kind::map;
  resumed.inputs = inputs_of(has_settings ? settings->second.as_map() : Value::Map(), inputs(args));
  resumed.plugin_path = args.has("plugin-path") ? args.values("plugin-path") : words(about, "plugin_path");
  resumed.start.choice = {words(about, "from"), words(about, "only")};
  enter(text(about, "folder"));
  print_error(fmt::format("going on with run {} of {}\n", record.id, record.file));
  const std::string before = text(about, "file_hash");
  if (!before.empty() && before != file_hash(record.file)) {
    print_error(
        fmt::format("{} was edited since: what is new in it runs, and so does a step that would be given "
                    "something else\n",
                    record.file));
  }
  resumed.start.past = std::move(past.run);
  return resumed;
}

}  // namespace pipes::cli
