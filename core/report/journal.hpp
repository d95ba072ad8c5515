#pragma once
#include "core/base/fd.hpp"
#include "core/run/event.hpp"

#include <filesystem>
#include <string>

namespace pipes {

/// A file that is written in pieces of some size; a write that fails is told once, by `problem`.
class LogFile {
 public:
  LogFile() = default;
  /// Created when the first byte is written. Past `limit` bytes the file becomes NAME.old and a new one
  /// begins, so that the last bytes are always there; 0: no limit.
  LogFile(std::filesystem::path path, std::size_t limit) : path_(std::move(path)), limit_(limit) {}
  LogFile(LogFile &&) noexcept = default;
  LogFile &operator=(LogFile &&) noexcept = default;
  ~LogFile() { flush(); }

  void write(std::string_view);
  void flush();
  /// Locks what was begun for as long as this lives, so that others can tell that it is being written.
  void lock();
  /// Empty as long as nothing was written.
  std::string path() const { return begun_ ? path_.string() : std::string(); }
  const std::string &problem() const { return problem_; }

 private:
  std::filesystem::path path_;
  std::size_t limit_ = 0, size_ = 0;
  UniqueFd fd_;
  std::string buffer_, problem_;
  bool begun_ = false;
};

/// Makes runs/<time>-<pipeline>/ under the state folder; of older ones, 100 stay. Throws std::system_error.
std::filesystem::path make_run_folder(const std::filesystem::path &state, const std::string &pipeline,
                                      std::chrono::system_clock::time_point);

/// Keeps every event in events.jsonl. Written out at the end of each step, and a moment after anything else,
/// for whoever follows the run.
class Journal final : public EventSink {
 public:
  explicit Journal(const std::filesystem::path &folder);
  void on(const Event &) override;
  std::optional<std::chrono::steady_clock::time_point> next_tick() const override { return due_; }
  /// Writes out what is held.
  void tick() override;
  const std::string &problem() const { return file_.problem(); }

 private:
  LogFile file_;
  std::optional<std::chrono::steady_clock::time_point> due_;  // nothing is held without it
};

}  // namespace pipes
