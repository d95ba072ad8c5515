#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/core.h>

#include "blob_writer.hpp"
#include "unsynced.hpp"

namespace pipes::oci {
namespace {

constexpr std::size_t kReadSize = 1u << 20;

/// Says that a download will not fit before it is begun, where the file system tells.
void check_room(const std::filesystem::path &folder, std::uint64_t bytes) {
  struct statvfs status {};
  if (statvfs(folder.c_str(), &status) != 0 || status.f_blocks == 0) return;
  const std::uint64_t room = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (bytes > room)
    throw sdk::Error(
        PIPE_E_IO,
        fmt::format("not enough room in {}: {} bytes are needed, {} are free", folder.string(), bytes, room),
        "free some space there, or choose another place (the store's is PIPE_STORE)");
}

}  // namespace

std::optional<UniqueFd> lock_partial(const std::filesystem::path &path, int flags) {
  // A cleaner may have removed the file between the two calls; then it is made anew.
  for (int attempt = 0; attempt < 100; ++attempt) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0666));
    if (!fd) {
      if (errno == EEXIST || (errno == ENOENT && (flags & O_CREAT) == 0)) return std::nullopt;
      throw_io("write", path, errno);
    }
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK || errno == EINTR) return std::nullopt;
      throw_io("lock", path, errno);
    }
    // Or its writer renamed it: what is locked here would be a blob, and no longer a partial file.
    struct stat locked {
    }, named{};
    if (fstat(fd.get(), &locked) == 0 && lstat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
        locked.st_dev == named.st_dev)
      return fd;
  }
  return std::nullopt;
}

BlobWriter::BlobWriter(std::unique_ptr<State> state) : state_(std::move(state)) {
  if (state_->expected) {
    // Of a file that was left behind, all counts: it is hashed again, and what is too much means that it is
    // another's.
    std::string buffer(kReadSize, '\0');
    for (;;) {
      const ssize_t count = read(state_->fd.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw_io("read", state_->partial, errno);
      if (count == 0) break;
      state_->hasher.update(buffer.data(), static_cast<std::size_t>(count));
      state_->written += static_cast<std::uint64_t>(count);
    }
    if (state_->written > state_->expected->size) {
      if (ftruncate(state_->fd.get(), 0) != 0 || lseek(state_->fd.get(), 0, SEEK_SET) != 0)
        throw_io("write", state_->partial, errno);
      state_->hasher = Hasher(state_->expected->digest.algorithm());
      state_->written = 0;
    }
    check_room(state_->partial.parent_path(), state_->expected->size - state_->written);
  }
}

BlobWriter::BlobWriter(BlobWriter &&) noexcept = default;
BlobWriter &BlobWriter::operator=(BlobWriter &&) noexcept = default;
BlobWriter::~BlobWriter() = default;

BlobWriter::State::~State() {
  if (fd && (!keep || written == 0)) unlink(partial.c_str());
}

std::uint64_t BlobWriter::written() const {
  return state_->written;
}

void BlobWriter::write(const void *data, std::size_t size) {
  State &state = *state_;
  if (state.expected && size > state.expected->size - state.written) {
    state.keep = false;
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("blob {} is longer than the {} bytes it should have",
                                                  state.expected->digest.brief(), state.expected->size));
  }
  try {
    write_all(state.fd.get(), data, size, state.partial);
  } catch (...) {
    state.keep = false;
    throw;
  }
  state.hasher.update(data, size);
  state.written += size;
}

Descriptor BlobWriter::commit() {
  State &state = *state_;
  if (state.expected && state.written < state.expected->size)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("blob {} ended after {} of {} bytes", state.expected->digest.brief(),
                                 state.written, state.expected->size));
  const bool kept = std::exchange(state.keep, false);
  Descriptor stored = state.expected.value_or(Descriptor{.media_type = state.media_type});
  const Digest digest = state.hasher.finish();
  if (state.expected && digest != stored.digest)
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("blob {} has another content: its digest is {}", stored.digest.str(), digest.str()),
        kept ? "it was damaged on its way; what had come of it was removed"
             : "it was damaged on its way; nothing of it was kept");
  stored.digest = digest;
  stored.size = state.written;

  const std::filesystem::path folder = state.blobs / std::string(digest.algorithm());
  const std::filesystem::path target = folder / std::string(digest.hex());
  struct stat status {};
  const bool known = lstat(target.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
                     static_cast<std::uint64_t>(status.st_size) == stored.size;
  if (!known) {
    note_unsynced(state.blobs.parent_path(), digest);
    if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) throw_io("create", folder, errno);
    if (rename(state.partial.c_str(), target.c_str()) != 0) throw_io("write", target, errno);
    state.fd = UniqueFd();
  }
  state_.reset();
  return stored;
}

}  // namespace pipes::oci
