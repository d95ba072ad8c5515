#include <pipe/oci/settings_file.hpp>

#include <pipe/error.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>

#include <fmt/core.h>

#include "file.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;
constexpr gid_t kNoGroup = static_cast<gid_t>(-1);

[[noreturn]] void fail(std::string_view what, const fs::path &path, int error) {
  std::string hint;
  if (error == EACCES || error == EPERM || error == EROFS)
    hint = "run this as root (sudo), or name a place that you can write to";
  if (error == ENOSPC || error == EDQUOT) hint = "free some space there";
  throw sdk::Error(
      PIPE_E_IO, fmt::format("can't {} {}: {}", what, path.string(), std::generic_category().message(error)),
      std::move(hint));
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

fs::path behind_links(const fs::path &path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? path : target;
}

bool owns(const struct stat &status, const Owner &owner) {
  return status.st_uid == owner.user && (!owner.group || status.st_gid == *owner.group);
}

void apply(int fd, const fs::path &path, const FileAccess &access) {
  struct stat status {};
  if (fstat(fd, &status) != 0) fail("read", path, errno);
  // The owner first: chown(2) may take bits of the mode away.
  if (access.owner && !owns(status, *access.owner) &&
      fchown(fd, access.owner->user, access.owner->group.value_or(kNoGroup)) != 0)
    fail("change the owner of", path, errno);
  if (access.mode && (status.st_mode & 07777) != *access.mode && fchmod(fd, *access.mode) != 0)
    fail("change the mode of", path, errno);
}

/// What a file has that is about to be replaced stands for what is not asked for.
FileAccess completed(const fs::path &path, FileAccess access) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    access.mode = access.mode.value_or(0644);
    return access;
  }
  access.mode = access.mode.value_or(status.st_mode & 07777);
  if (!access.owner) access.owner = Owner{status.st_uid, status.st_gid};
  return access;
}

// A file that is about to take the place of NAME is called .NAME.pipe-XXXXXX, and held until it does.
constexpr std::string_view kBegun = ".pipe-XXXXXX";
constexpr std::string_view kBegunStem = kBegun.substr(0, kBegun.find('X'));

/// Those that killed runs left: nobody holds them.
void remove_leftovers(const fs::path &folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.') || name.size() <= kBegun.size() ||
        name.compare(name.size() - kBegun.size(), kBegunStem.size(), kBegunStem) != 0)
      continue;
    const UniqueFd fd(open(entry->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd && flock(fd.get(), LOCK_EX | LOCK_NB) == 0) unlink(entry->path().c_str());
  }
}

/// A new file of mode 0600 beside `path`, called `name`.
UniqueFd begun_file(const fs::path &path, std::string &name) {
  struct stat status {};
  for (;;) {
    name = (path.parent_path() / fmt::format(".{}{}", path.filename().string(), kBegun)).string();
    UniqueFd fd(mkostemp(name.data(), O_CLOEXEC));
    if (!fd) fail("write", path, errno);
    flock(fd.get(), LOCK_EX);  // where a file system has none, leftovers stay
    if (fstat(fd.get(), &status) != 0) fail("write", path, errno);
    if (status.st_nlink != 0) return fd;
    // Another run took it for a leftover before it was held.
  }
}

}  // namespace

std::optional<Owner> Owner::parse(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (text == "self") return Owner{geteuid(), getegid()};
  const std::size_t colon = text.find(':');
  const std::optional<unsigned> user = number(text.substr(0, colon));
  Owner owner{user.value_or(0), {}};
  if (colon != std::string_view::npos) owner.group = number(text.substr(colon + 1));
  if (!user || (colon != std::string_view::npos && !owner.group))
    throw sdk::Error(PIPE_E_INVALID, fmt::format("\"{}\" is no owner", text),
                     "give numbers, uid or uid:gid such as 1000:1000, or `self`");
  return owner;
}

void write_settings(const fs::path &named, std::string_view content, const FileAccess &asked) {
  const fs::path path = behind_links(named);
  const fs::path folder = path.parent_path().empty() ? "." : path.parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("make", folder, error.value());
  const FileAccess access = completed(path, asked);
  remove_leftovers(folder);
  std::string next;
  const UniqueFd fd = begun_file(path, next);
  try {
    apply(fd.get(), path, access);
    write_all(fd.get(), content.data(), content.size(), path);
    if (fsync(fd.get()) != 0) fail("write", path, errno);
    if (rename(next.c_str(), path.c_str()) != 0) fail("write", path, errno);
  } catch (...) {
    unlink(next.c_str());
    throw;
  }
  sync_folder(folder);
}

bool has_access(const fs::path &path, const FileAccess &access) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return false;
  return (!access.mode || (status.st_mode & 07777) == *access.mode) &&
         (!access.owner || owns(status, *access.owner));
}

void set_access(const fs::path &path, const FileAccess &access) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) fail("open", path, errno);
  apply(fd.get(), path, access);
}

bool make_folder(const fs::path &path, const FileAccess &access) {
  std::error_code error;
  const bool made = fs::create_directories(path, error);
  if (error) fail("make", path, error.value());
  if (made || !has_access(path, access)) set_access(path, access);
  return made;
}

}  // namespace pipes::oci
