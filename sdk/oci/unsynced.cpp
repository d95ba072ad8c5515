#include "unsynced.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "file.hpp"
#include "layout_index.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr const char *kNotes = ".unsynced";
// Linux writes what is older than 30 s (vm.dirty_expire_centisecs), looking every 5 s.
constexpr std::time_t kWritten = 60;
constexpr std::size_t kReadSize = 1u << 20;

/// Another one each time the machine starts.
const std::string &this_boot() {
  static const std::string id = [] {
    const char *path = "/proc/sys/kernel/random/boot_id";
    const UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
    std::string text(36, '\0');
    const ssize_t count = fd ? read(fd.get(), text.data(), text.size()) : -1;
    // Without /proc every start is another one, and blobs are hashed once more than needed.
    return count == 36 ? text.substr(0, 8) : fmt::format("{:08x}", static_cast<unsigned>(getpid()));
  }();
  return id;
}

/// BOOT-ALGORITHM-HEX
std::string note_name(const Digest &blob) {
  return fmt::format("{}-{}-{}", this_boot(), blob.algorithm(), blob.hex());
}

std::optional<Digest> blob_of(std::string_view note) {
  const std::size_t first = note.find('-'), second = note.find('-', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  return Digest::try_parse(
      fmt::format("{}:{}", note.substr(first + 1, second - first - 1), note.substr(second + 1)));
}

bool is_sound(int fd, const Digest &blob, const fs::path &path) {
  Hasher hasher(blob.algorithm());
  std::string buffer(kReadSize, '\0');
  for (;;) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_io("read", path, errno);
    if (count == 0) return hasher.finish() == blob;
    hasher.update(buffer.data(), static_cast<std::size_t>(count));
  }
}

void settle(const fs::path &store, const fs::path &note, bool all) {
  const std::string name = note.filename().string();
  const std::optional<Digest> blob = blob_of(name);
  struct stat status {};
  if (!blob || lstat(note.c_str(), &status) != 0) return;
  const bool same_boot = name.starts_with(this_boot() + "-");
  const bool young = same_boot && std::time(nullptr) - status.st_mtime < kWritten;
  if (young && !all) return;
  // One process judges a blob: what another had found damaged would by now be a good one, fetched again.
  std::optional<FileLock> lock;
  if (!same_boot) {
    lock.emplace(store / kLayoutLock);
    if (lstat(note.c_str(), &status) != 0) return;
  }
  const fs::path path = store / "blobs" / std::string(blob->algorithm()) / std::string(blob->hex());
  if (const UniqueFd fd = open_regular(path)) {
    if (!same_boot && !is_sound(fd.get(), *blob, path))
      unlink(path.c_str());
    else
      sync_data(fd.get(), path);
  } else if (young) {
    return;  // its writer is just about to give it its name
  }
  unlink(note.c_str());
}

}  // namespace

void note_unsynced(const fs::path &store, const Digest &blob) {
  const fs::path folder = store / kNotes;
  const fs::path note = folder / note_name(blob);
  UniqueFd fd(open(note.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd && errno == ENOENT) {
    if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) throw_io("create", folder, errno);
    fd = UniqueFd(open(note.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  }
  if (!fd) throw_io("write", note, errno);
}

void settle_unsynced(const fs::path &store, bool all) {
  std::error_code none;
  for (const fs::directory_entry &entry : fs::directory_iterator(store / kNotes, none))
    settle(store, entry.path(), all);
}

}  // namespace pipes::oci
