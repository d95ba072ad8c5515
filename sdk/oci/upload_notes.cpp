#include "upload_notes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <ctime>
#include <system_error>

#include "file.hpp"

namespace pipes::oci {
namespace {

constexpr std::time_t kKeep = std::time_t{24} * 3600;  // registries forget an upload after about as long
constexpr std::size_t kMaxUrl = 16u << 10;

bool is_old(const struct stat &status) {
  return std::time(nullptr) - status.st_mtime > kKeep;
}

/// Those of uploads that nobody went on with.
void drop_old_notes(const std::filesystem::path &folder) {
  std::error_code ignored;
  for (const std::filesystem::directory_entry &entry : std::filesystem::directory_iterator(folder, ignored)) {
    struct stat status {};
    if (lstat(entry.path().c_str(), &status) == 0 && is_old(status)) unlink(entry.path().c_str());
  }
}

}  // namespace

UploadNote::UploadNote(const std::string &host, const std::string &repository, const Digest &blob)
    : path_(Store::default_path() / ".uploads" /
            std::string(digest_of(host + "\n" + repository + "\n" + blob.str()).hex())) {}

std::string UploadNote::read() const {
  try {
    const UniqueFd fd = open_regular(path_);
    struct stat status {};
    if (!fd || fstat(fd.get(), &status) != 0 || is_old(status)) return {};
    return read_file(fd.get(), path_, kMaxUrl);
  } catch (const sdk::Error &) {
    return {};
  }
}

void UploadNote::write(const std::string &url) const {
  std::error_code ignored;
  const std::filesystem::path notes = path_.parent_path(), store = notes.parent_path();
  std::filesystem::create_directories(store.parent_path(), ignored);
  // The first to come makes the store, and images may be private.
  for (const std::filesystem::path &folder : {store, notes}) mkdir(folder.c_str(), 0700);
  drop_old_notes(path_.parent_path());
  const std::string partial = path_.string() + "." + std::to_string(getpid());
  const UniqueFd fd(open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd || ::write(fd.get(), url.data(), url.size()) != static_cast<ssize_t>(url.size()) ||
      rename(partial.c_str(), path_.c_str()) != 0)
    unlink(partial.c_str());
}

void UploadNote::drop() const {
  unlink(path_.c_str());
}

}  // namespace pipes::oci
