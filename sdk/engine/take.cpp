#include <fcntl.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <unistd.h>
#include <pipe/engine/take.hpp>
#include <pipe/oci/archive.hpp>

#include <cerrno>
#include <cstring>

#include "unique_fd.hpp"

namespace pipes::engine {
namespace {

/// A file that is gone when this is.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path &folder) : path_((folder / "engine-XXXXXX").string()) {
    fd_ = UniqueFd(::mkostemp(path_.data(), O_CLOEXEC));
    if (!fd_) fail("create");
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;

  const std::string &path() const { return path_; }
  void write(const char *data, std::size_t size) {
    while (size > 0) {
      const ssize_t count = ::write(fd_.get(), data, size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("write");
      data += count;
      size -= static_cast<std::size_t>(count);
    }
  }

 private:
  [[noreturn]] void fail(const char *what) const {
    throw sdk::Error(PIPE_E_IO, fmt::format("can't {} {}: {}", what, path_, std::strerror(errno)),
                     "an image from an engine needs room in the store (PIPE_STORE) for one more copy");
  }

  std::string path_;
  UniqueFd fd_;
};

}  // namespace

oci::Descriptor take(Engine &engine, const std::string &name, oci::Store &store) {
  if (!engine.image(name))
    throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("{} has no image {}", engine.version().endpoint, name),
                     "build or pull it there first, or check the name");
  TemporaryFile archive(store.path() / ".partial");
  engine.save(name, [&](const char *data, std::size_t size) { archive.write(data, size); });
  return oci::import_archive(archive.path(), {}, store);
}

}  // namespace pipes::engine
