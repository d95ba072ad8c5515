#pragma once
// The runs that are on record: what the journal keeps of each.
#include "core/run/event.hpp"
#include "core/run/resumption.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// What a list of runs says of one.
struct RunRecord {
  std::string id;  // the name of its folder
  std::filesystem::path folder;
  std::chrono::system_clock::time_point began;
  std::string pipeline, file;  // no file: a single step
  std::string started_in;      // the folder that `file` is relative to
  Operation operation = Operation::run;
  std::string status;  // "ok", "failed", "cancelled"; "running"; "killed": it has no end
  Counts counts;
  std::chrono::milliseconds elapsed{0};  // until now while it runs; of a killed one, up to its last event
};

/// The folders of all runs, the newest first; of one pipeline, if it is named.
std::vector<std::filesystem::path> run_folders(const std::string &pipeline = {});
/// Reads no more of a journal than its beginning and its end.
RunRecord run_record(const std::filesystem::path &folder);
/// The run that is meant by `last`, by an id or the beginning of one, or by the name of a pipeline (its last
/// run). Throws Error{Exit::usage} if there is none, or several.
std::filesystem::path find_run(const std::string &word);

/// The name of the pipeline, as an id has it.
std::string pipeline_part(const std::string &id);
/// The steps of a run, as it announced them. Throws Error if there is no journal.
Value::List announced_steps(const std::filesystem::path &folder);

/// Hands on every event of a run, one after the other, each with its line. Throws Error if there is no
/// journal.
void replay(const std::filesystem::path &folder,
            const std::function<void(const Event &, std::string_view line)> &);
/// The same of a run that may be under way: hands on events as they are written, until its end.
void follow(const std::filesystem::path &folder,
            const std::function<void(const Event &, std::string_view line)> &);
/// What a run that goes on with it needs to know: the events of its steps, and how it was told to run.
struct Past {
  PastRun run;
  Event started;  // run_started
};
Past past_run(const std::filesystem::path &folder);

}  // namespace pipes
