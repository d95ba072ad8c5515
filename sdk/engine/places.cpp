#include "places.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include "unique_fd.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;

std::string env(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

fs::path home() {
  if (std::string set = env("HOME"); !set.empty()) return set;
  const passwd *entry = ::getpwuid(::geteuid());
  return entry && entry->pw_dir ? entry->pw_dir : "/";
}

fs::path state_folder() {
  const std::string set = env("XDG_STATE_HOME");
  return (set.empty() ? home() / ".local/state" : fs::path(set)) / "pipe";
}

std::optional<fs::path> runtime_folder() {
  if (std::string set = env("XDG_RUNTIME_DIR"); !set.empty()) return set;
  if (::geteuid() == 0) return "/run";
  return std::nullopt;
}

std::string program_folders() {
  std::string folders = env("PATH");
  if (!folders.empty()) folders += ':';
  return folders + "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

fs::path find_program(const char *name) {
  const std::string folders = program_folders();
  for (std::size_t begin = 0; begin < folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    const fs::path candidate = fs::path(folders.substr(begin, end - begin)) / name;
    if (candidate.is_absolute() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return {};
}

bool write_atomically(const fs::path &file, const std::string &text, unsigned mode) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  const std::string partial = file.string() + "." + std::to_string(::getpid());
  UniqueFd fd(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return false;
  const bool written = ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (written && ::rename(partial.c_str(), file.c_str()) == 0) return true;
  const int why = errno;
  ::unlink(partial.c_str());
  errno = why;
  return false;
}

std::string read_text(const fs::path &file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace pipes::engine
