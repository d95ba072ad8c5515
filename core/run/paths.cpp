#include "core/run/paths.hpp"

#include "core/base/error.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>

namespace pipes {
namespace {

constexpr std::size_t kLongestName = 120;

/// FNV-1a: stable from run to run and machine to machine, which is all that is asked of it.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

[[noreturn]] void fail(const std::filesystem::path &path) {
  throw std::system_error(errno, std::generic_category(), path.string());
}

UniqueFd open_or_throw(const std::filesystem::path &path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (!fd) fail(path);
  return fd;
}

}  // namespace

std::filesystem::path state_home() {
  const char *state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return std::filesystem::path(state) / "pipe";
  const char *home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    const passwd *user = ::getpwuid(::getuid());
    home = user == nullptr ? nullptr : user->pw_dir;
  }
  if (home == nullptr || *home == '\0') {
    throw Error(Exit::usage, "there is no home folder to keep the state of runs in",
                "set HOME or XDG_STATE_HOME to a folder that can be written to");
  }
  return std::filesystem::path(home) / ".local/state/pipe";
}

std::filesystem::path memory_folder(const std::string &pipeline, const std::string &file) {
  std::error_code none;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(file, none);
  return state_home() / "state" / fmt::format("{}-{:016x}", file_name(pipeline), stable_hash(whole.string()));
}

std::string file_hash(const std::string &file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return fmt::format("{:016x}", stable_hash(text));
}

std::string file_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || (c == '.' && !out.empty());
    if (plain) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  if (out.size() > kLongestName) {
    out.resize(kLongestName);
    out += fmt::format("-{:016x}", stable_hash(name));
  }
  return out;
}

void write_file(const std::filesystem::path &path, std::string_view bytes, bool durable) {
  const std::filesystem::path partial = path.string() + ".partial";
  {
    const UniqueFd fd = open_or_throw(partial, O_WRONLY | O_CREAT | O_TRUNC);
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(partial);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    if (durable && ::fsync(fd.get()) != 0) fail(partial);
  }
  if (::rename(partial.c_str(), path.c_str()) != 0) fail(path);
  if (durable) ::fsync(open_or_throw(path.parent_path(), O_RDONLY | O_DIRECTORY).get());
}

PipelineLock PipelineLock::try_lock(const std::filesystem::path &folder) {
  std::filesystem::create_directories(folder);
  PipelineLock lock;
  lock.file_ = open_or_throw(folder / "lock", O_RDWR | O_CREAT);
  lock.held_ = ::flock(lock.file_.get(), LOCK_EX | LOCK_NB) == 0;
  if (!lock.held_ && errno != EWOULDBLOCK) fail(folder / "lock");
  return lock;
}

void PipelineLock::wait() {
  while (!held_) {
    if (::flock(file_.get(), LOCK_EX) == 0) {
      held_ = true;
    } else if (errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "lock");
    }
  }
}

}  // namespace pipes
