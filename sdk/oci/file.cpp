#include "file.hpp"

#include <pipe/error.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <fmt/core.h>

namespace pipes::oci {

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

void throw_io(std::string_view what, const std::filesystem::path &path, int error) {
  std::string hint;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      hint = "free some space there, or choose another place (the store's is PIPE_STORE)";
      break;
    case EFBIG:
      hint = "a limit on the size of files stands in the way; see ulimit -f";
      break;
    case EROFS:
    case EACCES:
    case EPERM:
    case ENOENT:   // of what is to be made: file systems such as /proc
    case ENOTDIR:  // a part of the path is a file
      hint =
          "choose a place that you can write to (the store's is PIPE_STORE, that of temporary files TMPDIR)";
      break;
    case EMFILE:
    case ENFILE:
      hint = "too many files are open; see ulimit -n";
      break;
    default:
      break;
  }
  throw sdk::Error(
      PIPE_E_IO, fmt::format("can't {} {}: {}", what, path.string(), std::generic_category().message(error)),
      std::move(hint));
}

void write_all(int fd, const void *data, std::size_t size, const std::filesystem::path &path) {
  const char *next = static_cast<const char *>(data);
  while (size > 0) {
    const ssize_t count = write(fd, next, size);
    if (count < 0) {
      if (errno == EINTR) continue;
      throw_io("write", path, errno);
    }
    next += count;
    size -= static_cast<std::size_t>(count);
  }
}

void sync_data(int fd, const std::filesystem::path &path) {
  if (fdatasync(fd) != 0) throw_io("write", path, errno);
}

void sync_folder(const std::filesystem::path &folder) {
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw_io("open", folder, errno);
  // Some network file systems can't, and need not.
  if (fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS) throw_io("write", folder, errno);
}

UniqueFd nameless_file(const std::filesystem::path &folder) {
  UniqueFd fd(open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (fd) return fd;
  std::string name = (folder / "new-XXXXXX").string();  // file systems without O_TMPFILE
  fd = UniqueFd(mkostemp(name.data(), O_CLOEXEC));
  if (!fd) throw_io("write", name, errno);
  unlink(name.c_str());
  return fd;
}

UniqueFd open_regular(const std::filesystem::path &path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return fd;
    if (errno == ELOOP)
      throw sdk::Error(PIPE_E_IO, fmt::format("{} is a symbolic link, not a regular file", path.string()));
    throw_io("open", path, errno);
  }
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) throw_io("read", path, errno);
  if (!S_ISREG(status.st_mode))
    throw sdk::Error(PIPE_E_IO, fmt::format("{} is not a regular file", path.string()));
  return fd;
}

std::string read_file(int fd, const std::filesystem::path &path, std::size_t max) {
  struct stat status {};
  if (fstat(fd, &status) != 0) throw_io("read", path, errno);
  if (static_cast<std::uint64_t>(status.st_size) > max)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} has {} bytes, more than the {} that are allowed",
                                                 path.string(), status.st_size, max));
  std::string content(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t count = read(fd, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_io("read", path, errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  content.resize(done);
  return content;
}

std::optional<std::string> read_settings(const std::filesystem::path &path) {
  constexpr std::size_t kMax = 4u << 20;
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!fd)
    throw sdk::Error(PIPE_E_IO,
                     fmt::format("can't read {}: {}", path.string(), std::generic_category().message(errno)),
                     "make it readable for the user that runs this");
  return read_file(fd.get(), path, kMax);
}

void replace_file(const std::filesystem::path &path, std::string_view content) {
  const std::filesystem::path next = path.string() + ".tmp";
  const UniqueFd fd(open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd) throw_io("write", path, errno);
  try {
    write_all(fd.get(), content.data(), content.size(), path);
    sync_data(fd.get(), path);
    if (rename(next.c_str(), path.c_str()) != 0) throw_io("write", path, errno);
  } catch (...) {
    unlink(next.c_str());
    throw;
  }
  sync_folder(path.parent_path().empty() ? "." : path.parent_path());
}

namespace {

void lock_file(int fd, int how, const std::filesystem::path &path) {
  while (flock(fd, how) != 0)
    if (errno != EINTR) throw_io("lock", path, errno);
}

}  // namespace

FileLock::FileLock(const std::filesystem::path &path, Kind kind)
    : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)), path_(path) {
  if (!fd_) throw_io("lock", path, errno);
  lock_file(fd_.get(), kind == Kind::shared ? LOCK_SH : LOCK_EX, path);
}

FileLock FileLock::shared_of(const std::filesystem::path &path) {
  FileLock lock(UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)));
  lock.path_ = path;
  if (lock.fd_) lock_file(lock.fd_.get(), LOCK_SH, path);
  return lock;
}

bool FileLock::try_upgrade() {
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK && errno != EINTR) throw_io("lock", path_, errno);
  share();  // flock(2) gives up the old lock first
  return false;
}

void FileLock::share() {
  lock_file(fd_.get(), LOCK_SH, path_);
}

}  // namespace pipes::oci
