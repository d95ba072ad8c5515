#pragma once
// What a run leaves on disk for those after it.
#include "core/cli/session_options.hpp"
#include "core/run/clock.hpp"
#include "core/run/known_settings.hpp"
#include "core/run/paths.hpp"
#include "core/run/scheduler.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace pipes::cli {

/// The pipeline's lock and memory, and a folder for this run. A plan has neither, `pipe step` no memory.
/// Where they cannot be written, the run goes on without, and `problem` says why. What is given must outlive
/// this.
class Record {
 public:
  /// Opens what earlier runs left; waits until no other run of the pipeline is under way.
  Record(const SessionOptions &, const Plan &, const Value::Map &settings, const Redactor &);
  /// Notes that a run begins, and makes its folder.
  void begin(std::chrono::system_clock::time_point now);
  void end(const RunOutcome &);

  Memory &memory() { return *memory_; }
  const std::filesystem::path &folder() const { return folder_; }
  std::string id() const { return folder_.filename().string(); }
  const std::string &problem() const { return problem_; }

 private:
  void lock(const std::filesystem::path &state);
  void attempt(const std::function<void()> &);

  const SessionOptions &options_;
  const Plan &plan_;
  const Value::Map &settings_;
  std::unique_ptr<Memory> memory_ = std::make_unique<NoMemory>();
  PipelineLock lock_;
  std::optional<KnownSettings> known_;
  std::filesystem::path folder_;
  std::string problem_;
};

}  // namespace pipes::cli
