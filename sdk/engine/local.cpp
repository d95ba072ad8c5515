#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <pipe/engine/local.hpp>
#include <pipe/oci/digest.hpp>
#include <system_error>

#include "places.hpp"
#include "unique_fd.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;

namespace {

constexpr int kLookAgain = 100;  // milliseconds

fs::path secrets_folder() {
  return state_folder() / "secrets";
}

/// That of one container of one engine.
fs::path secrets_folder(const Engine &engine, const std::string &container) {
  oci::Hasher hasher;
  hasher.update(engine.version().endpoint);
  return secrets_folder() / fmt::format("{}.{}", container, hasher.finish().hex().substr(0, 8));
}

bool is_secret(const Mount &mount) {
  return mount.type == "bind" && mount.source.starts_with(secrets_folder().string() + "/");
}

[[noreturn]] void file_error(pipe_status status, const fs::path &file, const char *what) {
  throw sdk::Error(status, fmt::format("can't {} {}: {}", what, file.string(), std::strerror(errno)),
                   status == PIPE_E_DENIED
                       ? "secrets are given to `user`: set it to `self`, or run this as root"
                       : "set XDG_STATE_HOME to a folder that can be written to");
}

void write_secret(const fs::path &file, const std::string &value, unsigned uid, unsigned gid) {
  UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400));
  if (!fd) file_error(PIPE_E_IO, file, "make");
  for (std::string_view rest = value; !rest.empty();) {
    const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) file_error(PIPE_E_IO, file, "write");
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  const bool is_ours = uid == 0 || (uid == ::geteuid() && gid == ::getegid());
  if (!is_ours && ::fchown(fd.get(), uid, gid) < 0) file_error(PIPE_E_DENIED, file, "give away");
}

}  // namespace

std::vector<Mount> write_secrets(const Engine &engine, const std::string &container, const Secrets &secrets,
                                 unsigned uid, unsigned gid) {
  std::vector<Mount> mounts;
  if (secrets.empty()) return mounts;
  std::error_code error;
  fs::create_directories(secrets_folder().parent_path(), error);
  ::mkdir(secrets_folder().c_str(), 0700);
  fs::path folder = secrets_folder(engine, container);
  ::mkdir(folder.c_str(), 0700);
  std::string path = (folder / "XXXXXX").string();
  if (!::mkdtemp(path.data())) file_error(PIPE_E_IO, folder, "make a folder in");
  for (const auto &[target, value] : secrets) {
    const fs::path file =
        fs::path(path) / fmt::format("{}-{}", mounts.size(), fs::path(target).filename().string());
    mounts.push_back({"bind", file, target, true});
    try {
      write_secret(file, value, uid, gid);
    } catch (...) {
      remove_secrets(mounts);
      throw;
    }
  }
  return mounts;
}

std::vector<Difference> secret_differences(const Secrets &wanted, const Container &actual) {
  std::vector<Difference> list;
  std::map<std::string, std::string> files;
  for (const Mount &mount : actual.spec.mounts)
    if (is_secret(mount)) files[mount.target] = mount.source;
  for (const auto &[target, value] : wanted) {
    const auto file = files.find(target);
    if (file == files.end() || read_text(file->second) != value)
      list.push_back({"secrets." + target, file == files.end() ? "(none)" : "(another value)", "(set)"});
  }
  for (const auto &entry : files)
    if (!wanted.contains(entry.first)) list.push_back({"secrets." + entry.first, "(set)", "(none)"});
  return list;
}

void remove_secrets(const std::vector<Mount> &mounts) {
  std::error_code error;
  for (const Mount &mount : mounts)
    if (is_secret(mount)) fs::remove_all(fs::path(mount.source).parent_path(), error);
}

void remove_stale_secrets(const Engine &engine, const std::string &container,
                          const std::vector<Mount> &mounts) {
  std::error_code error;
  const fs::path folder = secrets_folder(engine, container);
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    const bool used = std::any_of(mounts.begin(), mounts.end(), [&](const Mount &mount) {
      return fs::path(mount.source).parent_path() == entry.path();
    });
    if (!used) fs::remove_all(entry.path(), error);
  }
  fs::remove(folder, error);  // if it is empty
}

ContainerLock::ContainerLock(const std::string &container, sdk::Observer &observer) {
  const fs::path folder = state_folder() / "containers";
  std::error_code error;
  fs::create_directories(folder, error);
  fd_ = ::open((folder / (container + ".lock")).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool said = false;
  while (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (!said)
      observer.log(sdk::Level::info,
                   fmt::format("another run is at work on {}: waiting for it to end", container));
    said = true;
    pollfd cancel{observer.cancel_fd(), POLLIN, 0};
    ::poll(&cancel, cancel.fd < 0 ? 0 : 1, kLookAgain);
    observer.check_cancelled();
  }
}

ContainerLock::~ContainerLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace pipes::engine
