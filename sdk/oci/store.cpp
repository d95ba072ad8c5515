#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include <fmt/core.h>

#include "blob_writer.hpp"
#include "file.hpp"
#include "layout_names.hpp"
#include "layout_source.hpp"
#include "unsynced.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr const char *kPartials = ".partial";
constexpr const char *kInUse = ".in-use";
constexpr std::string_view kUnnamed = "new-";
constexpr std::time_t kKeepPartials = std::time_t{7} * 24 * 3600;

void make_folder(const fs::path &path) {
  if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) throw_io("create", path, errno);
}

/// What a store that another process is just making may hold already.
bool is_ours(const std::string &name) {
  constexpr std::array kNames{"oci-layout", ".partial",   ".uploads",       ".lock",         kInUse,
                              "blobs",      "index.json", "index.json.tmp", "oci-layout.tmp"};
  return std::ranges::find(kNames, name) != kNames.end();
}

void refuse_foreign_folder(const fs::path &root) {
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(root, error))
    if (!is_ours(entry.path().filename().string()))
      throw sdk::Error(
          PIPE_E_IO, fmt::format("{} is no image store: it has other files and no oci-layout", root.string()),
          "name an empty or a new folder (PIPE_STORE)");
  if (error) throw_io("read", root, error.value());
}

/// False: there is none.
bool check_layout_file(const fs::path &root) {
  const fs::path path = root / "oci-layout";
  const UniqueFd fd = open_regular(path);
  if (!fd) return false;
  const ParsedJson layout = parse_json(read_file(fd.get(), path, 4096));
  const std::optional<std::string> version =
      layout.value.is_object() ? text_member(layout.value, "imageLayoutVersion") : "";
  if (!version || !version->starts_with("1."))
    throw sdk::Error(PIPE_E_IO, fmt::format("{} is not of an image layout of version 1", path.string()),
                     "name another folder (PIPE_STORE)");
  return true;
}

/// Makes the folder of a store, and those above it.
void make_root(const fs::path &root) {
  std::error_code error, none;
  if (!root.parent_path().empty()) fs::create_directories(root.parent_path(), error);
  if (!error && mkdir(root.c_str(), 0700) != 0)  // images may be private
    error.assign(errno, std::generic_category());
  if (!error || fs::is_directory(root, none)) return;
  for (fs::path part = root; part != part.parent_path(); part = part.parent_path())
    if (fs::exists(fs::symlink_status(part, none)) && !fs::is_directory(part, none))
      throw sdk::Error(
          PIPE_E_IO,
          fmt::format("can't create the image store {}: {} is not a folder", root.string(), part.string()),
          "name another folder (PIPE_STORE)");
  throw_io("create the image store", root, error.value());
}

void create_layout(const fs::path &root) {
  make_root(root);
  refuse_foreign_folder(root);
  const FileLock lock(root / kLayoutLock);
  if (check_layout_file(root)) return;  // another process was faster
  make_folder(root / "blobs");
  make_folder(root / "blobs" / "sha256");
  make_folder(root / kPartials);
  replace_file(root / "index.json", kEmptyIndex);
  replace_file(root / "oci-layout", kLayoutFile);  // last: it says that the rest is there
}

/// Removes the partial files of writers that died; what may be resumed is given a week.
void clean_partials(const fs::path &folder) {
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    struct stat status {};
    const fs::path &path = entry.path();
    if (lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (!path.filename().string().starts_with(kUnnamed) &&
        std::time(nullptr) - status.st_mtime < kKeepPartials)
      continue;
    const std::optional<UniqueFd> mine = lock_partial(path, 0);
    if (mine) unlink(path.c_str());
  }
}

std::string random_name() {
  std::uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number) number = static_cast<std::uint64_t>(getpid());
  return fmt::format("{}{:016x}", kUnnamed, number);
}

bool is_writable(const fs::path &root) {
  return faccessat(AT_FDCWD, root.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

void require_writable(const fs::path &root) {
  if (!is_writable(root)) throw_io("write to the store", root, errno);
}

}  // namespace

bool Store::exists(const fs::path &root) {
  return check_layout_file(root);
}

Store::Store(fs::path root) : root_(std::move(root)), names_(std::make_shared<Names>(root_)) {
  if (!check_layout_file(root_)) create_layout(root_);
  if (!is_writable(root_)) {  // good for reading; who writes to it is told then
    in_use_ = std::make_shared<FileLock>(FileLock::shared_of(root_ / kInUse));
    return;
  }
  in_use_ = std::make_shared<FileLock>(root_ / kInUse, FileLock::Kind::shared);
  make_folder(root_ / kPartials);  // of layouts that other tools made
  clean_partials(root_ / kPartials);
  settle_unsynced(root_);
}

fs::path Store::blob_path(const Digest &digest) const {
  return root_ / "blobs" / std::string(digest.algorithm()) / std::string(digest.hex());
}

bool Store::has(const Descriptor &descriptor) const {
  struct stat status {};
  return lstat(blob_path(descriptor.digest).c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         static_cast<std::uint64_t>(status.st_size) == descriptor.size;
}

BlobWriter Store::open_writer(const std::string &partial, std::optional<Descriptor> expected,
                              std::string_view media_type) {
  require_writable(root_);
  auto state = std::make_unique<BlobWriter::State>();
  state->blobs = root_ / "blobs";
  state->keep = !partial.empty();
  if (state->keep) {
    state->partial = root_ / kPartials / partial;
    // Where another process is at the same blob, each fetches its own: that is rare, and never wrong.
    if (std::optional<UniqueFd> fd = lock_partial(state->partial, O_CREAT))
      state->fd = std::move(*fd);
    else
      state->keep = false;
  }
  while (!state->fd) {
    state->partial = root_ / kPartials / random_name();
    if (std::optional<UniqueFd> fd = lock_partial(state->partial, O_CREAT | O_EXCL))
      state->fd = std::move(*fd);
  }
  if (expected) state->hasher = Hasher(expected->digest.algorithm());
  state->expected = std::move(expected);
  state->media_type = media_type;
  return BlobWriter(std::move(state));
}

BlobWriter Store::writer(const Descriptor &expected) {
  return open_writer({}, expected, {});
}

BlobWriter Store::writer(std::string_view media_type) {
  return open_writer({}, std::nullopt, media_type);
}

BlobWriter Store::resume(const Descriptor &expected) {
  return open_writer(fmt::format("{}-{}", expected.digest.algorithm(), expected.digest.hex()), expected, {});
}

Descriptor Store::put(std::string_view bytes, std::string_view media_type) {
  Descriptor descriptor{
      .media_type = std::string(media_type), .digest = digest_of(bytes), .size = bytes.size()};
  if (has(descriptor)) return descriptor;
  BlobWriter blob = writer(descriptor);
  blob.write(bytes);
  return blob.commit();
}

int Store::open_blob(const Descriptor &descriptor) const {
  const fs::path path = blob_path(descriptor.digest);
  UniqueFd fd = open_regular(path);
  if (!fd)
    throw sdk::Error(PIPE_E_NOT_FOUND,
                     fmt::format("blob {} is not in the store {}", descriptor.digest.brief(), root_.string()),
                     "pull the image again");
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) throw_io("read", path, errno);
  if (static_cast<std::uint64_t>(status.st_size) != descriptor.size)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("blob {} should have {} bytes and has {}", path.string(), descriptor.size,
                                 status.st_size),
                     "remove that file and pull the image again");
  return fd.release();
}

std::string Store::read(const Descriptor &descriptor, std::uint64_t max) const {
  const UniqueFd fd(open_blob(descriptor));
  std::string bytes = read_file(fd.get(), blob_path(descriptor.digest), max);
  if (digest_of(bytes, descriptor.digest.algorithm()) != descriptor.digest)
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("{} is damaged: its content has another digest", blob_path(descriptor.digest).string()),
        "remove that file and pull the image again");
  return bytes;
}

Manifest Store::manifest(const Descriptor &descriptor) const {
  return parse_manifest(read(descriptor), descriptor.media_type, descriptor.digest);
}

std::optional<Descriptor> Store::resolve(std::string_view name) const {
  return names_->find(name);
}

std::optional<StoredImage> Store::find(std::string_view text) const {
  if (std::optional<Descriptor> exact = names_->find(text))
    return StoredImage{std::string(text), *std::move(exact)};
  const std::size_t at = text.rfind('@');
  const std::optional<Digest> digest =
      Digest::try_parse(at == std::string_view::npos ? text : text.substr(at + 1));
  return names_->meant(digest ? digest->str() : std::string(text));
}

void Store::check_tag(std::string_view name, const Descriptor &image) const {
  if (name.empty()) throw sdk::Error(PIPE_E_INVALID, "an image needs a name");
  if (!has(image))
    throw sdk::Error(PIPE_E_NOT_FOUND,
                     fmt::format("can't name {}: {} is not in the store", name, image.digest.brief()),
                     "pull the image again");
  require_writable(root_);
}

void Store::tag(std::string_view name, const Descriptor &image) {
  check_tag(name, image);
  names_->give(name, image);
}

void Store::tag_soon(std::string_view name, const Descriptor &image) {
  check_tag(name, image);
  names_->give_soon(name, image);
}

bool Store::untag(std::string_view name) {
  return !untag(std::set{std::string(name)}).empty();
}

std::set<std::string> Store::untag(const std::set<std::string> &names) {
  require_writable(root_);
  names_->write();
  return drop_images(root_, names);
}

void Store::sync() {
  names_->write();
  settle_unsynced(root_, true);
}

std::vector<StoredImage> Store::list() const {
  std::vector<StoredImage> images = names_->list();
  std::erase_if(images, [](const StoredImage &image) { return image.name.empty(); });
  return images;
}

}  // namespace pipes::oci
