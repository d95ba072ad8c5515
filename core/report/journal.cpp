#include "core/report/journal.hpp"

#include "core/report/json_event.hpp"
#include "core/run/paths.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>

namespace pipes {
namespace {

constexpr std::size_t kBuffer = 64U << 10;

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

std::filesystem::path make_run_folder(const std::filesystem::path &state, const std::string &pipeline,
                                      std::chrono::system_clock::time_point at) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  const std::string stem =
      fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z-{}", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000, file_name(pipeline));
  const std::filesystem::path runs = state / "runs";
  std::filesystem::create_directories(runs);
  for (int n = 1;; ++n) {
    const std::filesystem::path folder = runs / (n == 1 ? stem : fmt::format("{}-{}", stem, n));
    if (std::filesystem::create_directory(folder)) return folder;
  }
}

Journal::Journal(const std::filesystem::path &folder) : file_(folder / "events.jsonl", 0) {
  file_.write(version_line());
}

void Journal::on(const Event &event) {
  file_.write(to_json_line(event));
  if (event.type == Event::Type::step_ended || event.type == Event::Type::run_started ||
      event.type == Event::Type::run_ended) {
    file_.flush();
  }
}

}  // namespace pipes
