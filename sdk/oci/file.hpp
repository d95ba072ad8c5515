#pragma once
// Files that survive a crash and full disks that are called so. For .cpp files of this folder only.
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pipes::oci {

/// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd &operator=(UniqueFd &&other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Throws sdk::Error{PIPE_E_IO} "can't <what> <path>: <why>", with a hint that fits `error` (an errno).
/// PIPE_E_DENIED never: that is for registries.
[[noreturn]] void throw_io(std::string_view what, const std::filesystem::path &path, int error);

void write_all(int fd, const void *data, std::size_t size, const std::filesystem::path &path);
/// The data only, not the times: one disk write less.
void sync_data(int fd, const std::filesystem::path &path);
/// Makes renames and new names in a folder durable.
void sync_folder(const std::filesystem::path &folder);

/// Opens a regular file for reading, following no symbolic link in the last place and never waiting for
/// a pipe. An invalid UniqueFd if it does not exist; throws PIPE_E_IO if it is something else.
UniqueFd open_regular(const std::filesystem::path &path);
/// A file for reading and writing that nobody else sees and that is gone with its descriptor.
UniqueFd nameless_file(const std::filesystem::path &folder);
/// The whole file, at most `max` bytes.
std::string read_file(int fd, const std::filesystem::path &path, std::size_t max);
/// A file of settings that somebody else wrote, at most 4 MiB: symbolic links are followed. nullopt if
/// there is none; throws PIPE_E_IO if it can't be read.
std::optional<std::string> read_settings(const std::filesystem::path &path);
/// Replaces a file, so that a reader or a crash sees the old or the new content, never a mix. The caller
/// holds a lock: the new content is written to `<path>.tmp` first.
void replace_file(const std::filesystem::path &path, std::string_view content);

/// Holds flock(2) on a file, which is made if need be, until it goes away or the process ends, in whatever
/// way: the kernel gives it back.
class FileLock {
 public:
  enum class Kind { exclusive, shared };
  explicit FileLock(const std::filesystem::path &path, Kind kind = Kind::exclusive);
  /// Of a file that is there and may be read only. Holds nothing where there is none.
  static FileLock shared_of(const std::filesystem::path &path);

  /// Makes a shared lock an exclusive one. False: somebody else has it; then this is a shared one still.
  bool try_upgrade();
  /// Makes it a shared one again.
  void share();

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::filesystem::path path_;
};

}  // namespace pipes::oci
