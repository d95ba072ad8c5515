#include "core/report/journal.hpp"

#include "core/report/json_event.hpp"
#include "core/run/paths.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>
#include <vector>

namespace pipes {
namespace {

constexpr std::chrono::milliseconds kHeld{200};

constexpr std::size_t kBuffer = 64U << 10;
constexpr std::size_t kKeptRuns = 100;  // of a pipeline, beside those of the last day

/// How the name of a run's folder begins, so that names sort by time.
std::string stamp(std::chrono::system_clock::time_point at) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

/// Removes old runs of the pipeline. One that began after `young` may be under way. What cannot be removed
/// stays: that is no reason not to run.
void prune(const std::filesystem::path &runs, const std::string &pipeline, const std::string &young) {
  std::vector<std::filesystem::path> all;
  std::error_code error;
  for (const auto &entry : std::filesystem::directory_iterator(runs, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() == young.size() + 1 + pipeline.size() && name.ends_with("Z-" + pipeline)) {
      all.push_back(entry.path());
    }
  }
  if (all.size() <= kKeptRuns) return;
  std::ranges::sort(all);
  all.resize(all.size() - kKeptRuns);
  for (const std::filesystem::path &run : all) {
    if (run.filename().string() < young) std::filesystem::remove_all(run, error);
  }
}

}  // namespace

void LogFile::write(std::string_view text) {
  if (text.empty() || path_.empty() || !problem_.empty()) return;
  begun_ = true;
  buffer_.append(text);
  if (buffer_.size() >= kBuffer) flush();
}

void LogFile::flush() {
  if (buffer_.empty()) return;
  if (limit_ > 0 && size_ >= limit_) {
    fd_.reset();
    ::rename(path_.c_str(), (path_.string() + ".old").c_str());
    size_ = 0;
  }
  if (!fd_) fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      problem_ = fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno));
      break;
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
    size_ += static_cast<std::size_t>(written);
  }
  buffer_.clear();
}

void LogFile::lock() {
  // Best effort: without it, a run that is under way looks like one that was killed.
  if (fd_) ::flock(fd_.get(), LOCK_EX | LOCK_NB);
}

std::filesystem::path make_run_folder(const std::filesystem::path &state, const std::string &pipeline,
                                      std::chrono::system_clock::time_point at) {
  const std::filesystem::path runs = state / "runs";
  std::filesystem::create_directories(runs);
  prune(runs, file_name(pipeline), stamp(at - std::chrono::hours(24)));
  // Of two in one millisecond, one takes the next.
  for (;; at += std::chrono::milliseconds(1)) {
    std::filesystem::path folder = runs / fmt::format("{}-{}", stamp(at), file_name(pipeline));
    if (std::filesystem::create_directory(folder)) return folder;
  }
}

Journal::Journal(const std::filesystem::path &folder) : file_(folder / "events.jsonl", 0) {
  file_.write(version_line());
  file_.flush();
  file_.lock();
}

void Journal::on(const Event &event) {
  file_.write(to_json_line(event));
  if (event.type == Event::Type::step_ended || event.type == Event::Type::run_started ||
      event.type == Event::Type::run_ended) {
    tick();
  } else if (!due_) {
    due_ = std::chrono::steady_clock::now() + kHeld;
  }
}

void Journal::tick() {
  file_.flush();
  due_.reset();
}

}  // namespace pipes
