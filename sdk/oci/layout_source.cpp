#include "layout_source.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <pipe/error.hpp>
#include <pipe/oci/attached.hpp>
#include <pipe/oci/reference.hpp>
#include <set>
#include <utility>

#include "image_source.hpp"
#include "image_tree.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 1u << 20;
constexpr std::uint64_t kMaxIndex = 64u << 20;
constexpr int kMaxLinks = 8;

std::size_t read_at(int fd, void *to, std::size_t size, std::uint64_t offset, const fs::path &path) {
  for (;;) {
    const ssize_t count = pread(fd, to, size, static_cast<off_t>(offset));
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) throw_io("read", path, errno);
  }
}

std::uint64_t size_of(int fd, const fs::path &path) {
  struct stat status {};
  if (fstat(fd, &status) != 0) throw_io("read", path, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

/// Opens what a person named: links are followed.
UniqueFd open_file(const fs::path &path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && (errno == ENOENT || errno == ENOTDIR))
    throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("there is no file {}", path.string()));
  if (!fd) throw_io("read", path, errno);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) throw_io("read", path, errno);
  if (S_ISDIR(status.st_mode))
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is a folder, not an archive", path.string()),
                     fmt::format("write oci:{} if it is an image layout", path.string()));
  if (!S_ISREG(status.st_mode))
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is not a regular file", path.string()));
  return fd;
}

/// Where a link in an archive leads, as a path in the archive. Both kinds: hard links name a path from the
/// root, symbolic ones from where they are.
std::string target_of(const TarMember &link) {
  fs::path target = link.link;
  if (link.type == TarType::symbolic_link && target.is_relative())
    target = fs::path(link.path).parent_path() / target;
  return target.lexically_normal().relative_path().string();
}

sdk::Error no_index(const std::string &where) {
  return sdk::Error(PIPE_E_NOT_FOUND, fmt::format("{} holds no image: it has no index.json", where),
                    "is it an image layout, or an archive of one?");
}

}  // namespace

void Content::copy_to(const ByteSink &sink) const {
  std::string buffer(kPiece, '\0');
  for (std::uint64_t done = 0; done < size;) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - done));
    const std::size_t count = read_at(fd, buffer.data(), wanted, offset + done, path);
    if (count == 0)
      throw sdk::Error(PIPE_E_MISMATCH, fmt::format("{} became shorter while it was read", path.string()));
    sink(buffer.data(), count);
    done += count;
  }
}

std::string Content::text(std::uint64_t max) const {
  if (size > max)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} has {} bytes, more than the {} that are allowed",
                                                 path.string(), size, max));
  std::string bytes;
  copy_to([&](const char *data, std::size_t count) { bytes.append(data, count); });
  return bytes;
}

std::optional<Content> LayoutSource::blob(const Digest &digest) const {
  return open(fmt::format("blobs/{}/{}", digest.algorithm(), digest.hex()));
}

std::shared_ptr<const NameTable> LayoutSource::names() const {
  const std::optional<Content> content = open("index.json");
  if (!content) throw no_index(where());
  const std::string file = where() + ": index.json";
  return std::make_shared<const NameTable>(parse_index(content->text(kMaxIndex), file), file);
}

FolderSource::FolderSource(fs::path folder) : folder_(std::move(folder)), names_(folder_) {
  std::error_code error;
  if (!fs::exists(folder_, error))
    throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("there is no folder {}", where()));
  if (!fs::is_directory(folder_, error))
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is a file, not a folder", where()),
                     fmt::format("write oci-archive:{} if it is an archive", where()));
}

std::shared_ptr<const NameTable> FolderSource::names() const {
  std::shared_ptr<const NameTable> names = names_.now();
  if (!names) throw no_index(where());
  return names;
}

std::optional<Content> FolderSource::open(const std::string &path) const {
  UniqueFd fd = open_regular(folder_ / path);
  if (!fd) return std::nullopt;
  const int number = fd.get();
  return Content{std::move(fd), number, 0, size_of(number, folder_ / path), folder_ / path};
}

TarSource::TarSource(fs::path file, const fs::path &scratch) : path_(std::move(file)), fd_(open_file(path_)) {
  if (const Compression compression = compression_of(fd_.get(), path_); compression != Compression::none) {
    const UniqueFd packed = std::exchange(fd_, nameless_file(scratch));
    const auto decoder = make_decoder(
        compression,
        [&](const char *data, std::size_t size) {
          write_all(fd_.get(), data, size, scratch / path_.filename());
        },
        path_.string());
    Content{{}, packed.get(), 0, size_of(packed.get(), path_), path_}.copy_to(
        [&](const char *data, std::size_t size) { decoder->write(data, size); });
    decoder->finish();
  }
  // Of two entries with one name the later one counts, as if they had been unpacked.
  for (TarMember &member : list_tar(fd_.get(), path_)) {
    std::string name = member.path;
    members_.insert_or_assign(std::move(name), std::move(member));
  }
}

std::optional<Content> TarSource::open(const std::string &path) const {
  std::string name = path;
  for (int links = 0; links < kMaxLinks; ++links) {
    const auto found = members_.find(name);
    if (found == members_.end()) return std::nullopt;
    const TarMember &member = found->second;
    if (member.type == TarType::file)
      return Content{{}, fd_.get(), member.offset, member.size, fmt::format("{}: {}", path_.string(), name)};
    if (member.type == TarType::folder) return std::nullopt;
    name = target_of(member);
  }
  throw sdk::Error(PIPE_E_INVALID, fmt::format("{}: the links of {} lead nowhere", path_.string(), path));
}

Compression compression_of(int fd, const fs::path &path) {
  std::array<char, 6> start{};
  const std::size_t count = read_at(fd, start.data(), start.size(), 0, path);
  return detect_compression({start.data(), count});
}

std::string repository_of(std::string_view name) {
  try {
    return name.empty() ? std::string() : Reference::parse(name).name();
  } catch (const sdk::Error &) {
    return {};  // names in layouts need not be names of registries
  }
}

bool same_name(std::string_view one, std::string_view other) {
  if (one == other) return !one.empty();
  try {
    return Reference::parse(one).str() == Reference::parse(other).str();
  } catch (const sdk::Error &) {
    return false;  // names in layouts need not be names of registries
  }
}

std::optional<Descriptor> find_image(const LayoutSource &source, std::string_view ref) {
  const std::shared_ptr<const NameTable> names = source.names();
  if (!ref.empty()) {
    const StoredImage *image = names->meant(ref);
    return image == nullptr ? std::nullopt : std::optional(image->descriptor);
  }
  std::vector<StoredImage> images = names->images();
  std::erase_if(images, [](const StoredImage &image) {
    return is_attached_tag(std::string_view(image.name).substr(image.name.rfind(':') + 1));
  });
  std::set<Digest> digests;
  std::string all;
  for (const StoredImage &image : images)
    if (digests.insert(image.descriptor.digest).second)
      all += (all.empty() ? "" : ", ") + (image.name.empty() ? image.descriptor.digest.str() : image.name);
  if (digests.size() > 1)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} holds {} images", source.where(), digests.size()),
                     fmt::format("name one, after a ':' at the end: {}", all));
  if (images.empty()) return std::nullopt;
  return images.front().descriptor;
}

Descriptor import_image(const LayoutSource &source, const Descriptor &root, Store &store) {
  const auto lacks = [&](const Descriptor &part) {
    return sdk::Error(PIPE_E_NOT_FOUND,
                      fmt::format("{} is not whole: it lacks {}", source.where(), part.digest.str()));
  };
  const auto read_manifest = [&](const Descriptor &descriptor, const Content &content) {
    return parse_manifest(content.text(kMaxManifestSize), descriptor.media_type, descriptor.digest);
  };
  const std::optional<Content> top = source.blob(root.digest);
  if (!top) throw lacks(root);
  const ImageTree tree = walk_image(read_manifest(root, *top), [&](const std::vector<Descriptor> &children) {
    std::vector<Manifest> present;
    for (const Descriptor &child : children)
      if (const std::optional<Content> content = source.blob(child.digest))
        present.push_back(read_manifest(child, *content));
    if (present.empty()) throw lacks(children.front());
    return present;
  });
  for (const Descriptor &blob : tree.blobs) {
    if (store.has(blob)) continue;
    const std::optional<Content> content = source.blob(blob.digest);
    if (!content && is_foreign(blob)) continue;
    if (!content) throw lacks(blob);
    BlobWriter writer = store.writer(blob);
    content->copy_to([&](const char *data, std::size_t size) { writer.write(data, size); });
    writer.commit();
  }
  for (const Manifest &manifest : tree.manifests) {
    if (store.has(manifest.descriptor())) continue;
    BlobWriter writer = store.writer(manifest.descriptor());
    writer.write(manifest.bytes);
    writer.commit();
  }
  return tree.root().descriptor();
}

}  // namespace pipes::oci
