#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pipe/error.hpp>
#include <pipe/oci/layer.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "codec.hpp"
#include "file.hpp"
#include "layer_memory.hpp"
#include "layout_source.hpp"
#include "tar.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxPath = 4096;

/// What will be at one path of the image.
struct Node {
  TarType type = TarType::folder;
  fs::path from;     // files
  std::string link;  // links
  std::uint32_t mode = 0755;
};

struct stat status_of(const fs::path &path, bool follow) {
  struct stat status {};
  if ((follow ? stat(path.c_str(), &status) : lstat(path.c_str(), &status)) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("there is no file or folder {}", path.string()),
                       follow ? "check the path; a relative one begins in the folder where pipe runs" : "");
    throw_io("read", path, errno);
  }
  return status;
}

std::string link_text(const fs::path &path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  if (error) throw_io("read", path, error.value());
  return target.string();
}

/// Collects what is to be in a layer, path by path in the order of a tar.
class Plan {
 public:
  void add(const LayerFile &file) {
    const struct stat status = status_of(file.from, true);
    std::string to = fs::path(file.to).lexically_normal().relative_path().string();
    if (S_ISDIR(status.st_mode)) {
      while (to.ends_with('/')) to.pop_back();
      if (!to.empty()) put(to, {});
      add_folder(file.from, to);
      return;
    }
    if (to.empty() || to.ends_with('/')) to += file.from.filename().string();
    add_node(file.from, to, status);
  }

  void add_parents() {
    std::map<std::string, Node> parents;
    for (const auto &[path, node] : nodes_)
      for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
           slash = path.rfind('/', slash - 1))
        parents.emplace(path.substr(0, slash), Node{});
    nodes_.merge(parents);
  }

  /// A file can't be on the way to another.
  void check() const {
    for (const auto &[path, node] : nodes_)
      for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
           slash = path.rfind('/', slash - 1)) {
        const auto parent = nodes_.find(path.substr(0, slash));
        if (parent != nodes_.end() && parent->second.type != TarType::folder)
          throw sdk::Error(PIPE_E_INVALID,
                           fmt::format("/{} is to be both a file and a folder in the image", parent->first));
      }
  }

  const std::map<std::string, Node> &nodes() const { return nodes_; }

 private:
  void put(const std::string &path, Node node) {
    if (path.size() > kMaxPath)
      throw sdk::Error(PIPE_E_INVALID, fmt::format("the path /{} is too long", path));
    nodes_.insert_or_assign(path, std::move(node));
  }

  void add_folder(const fs::path &folder, const std::string &to) {
    std::error_code error;
    for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
      const std::string path = (to.empty() ? "" : to + "/") + entry.path().filename().string();
      const struct stat status = status_of(entry.path(), false);
      if (S_ISDIR(status.st_mode)) {
        put(path, {});
        add_folder(entry.path(), path);
      } else {
        add_node(entry.path(), path, status);
      }
    }
    if (error) throw_io("read", folder, error.value());
  }

  void add_node(const fs::path &from, const std::string &to, const struct stat &status) {
    if (S_ISLNK(status.st_mode)) return put(to, {TarType::symbolic_link, {}, link_text(from), 0777});
    if (!S_ISREG(status.st_mode))
      throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is a device, a pipe or a socket", from.string()),
                       "an image is made of files, folders and links");
    put(to, {TarType::file, from, {}, (status.st_mode & S_IXUSR) != 0 ? 0755U : 0644U});
  }

  std::map<std::string, Node> nodes_;
};

class TarWriter {
 public:
  TarWriter(const LayerOptions &options, ByteSink sink) : options_(options), sink_(std::move(sink)) {}

  void add(const std::string &path, const Node &node) {
    TarEntry entry{.path = path,
                   .type = node.type,
                   .link = node.link,
                   .mode = node.mode,
                   .uid = options_.uid,
                   .gid = options_.gid,
                   .mtime = options_.mtime};
    if (node.type == TarType::folder) entry.path += '/';
    if (node.type != TarType::file) return write(tar_header(entry));

    const UniqueFd fd(open(node.from.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status {};
    if (!fd || fstat(fd.get(), &status) != 0) throw_io("read", node.from, errno);
    if (!S_ISREG(status.st_mode))
      throw sdk::Error(PIPE_E_IO, fmt::format("{} was replaced while it was read", node.from.string()));
    if (status.st_nlink > 1) {
      const auto [first, is_new] = linked_.emplace(std::pair(status.st_dev, status.st_ino), path);
      if (!is_new) {
        entry.type = TarType::hard_link;
        entry.link = first->second;
        return write(tar_header(entry));
      }
    }
    entry.size = static_cast<std::uint64_t>(status.st_size);
    write(tar_header(entry));
    Content{{}, fd.get(), 0, entry.size, node.from}.copy_to(sink_);
    write(std::string(tar_padding(entry.size), '\0'));
  }

  void finish() { write(std::string(kTarEnd, '\0')); }

 private:
  void write(const std::string &bytes) {
    if (!bytes.empty()) sink_(bytes.data(), bytes.size());
  }

  const LayerOptions &options_;
  ByteSink sink_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files of several names: the first one
};

/// Writes the layer's gzip to `sink`; its blob's digest is for the caller to find.
Layer make_layer(const std::vector<LayerFile> &files, const LayerOptions &options, const ByteSink &sink) {
  Plan plan;
  for (const LayerFile &file : files) plan.add(file);
  if (options.parents) plan.add_parents();
  plan.check();
  Layer layer;
  Hasher tar;
  Workers workers;
  GzipWriter gzip(sink, &workers);
  TarWriter writer(options, [&](const char *data, std::size_t size) {
    tar.update(data, size);
    gzip.write(data, size);
    layer.size += size;
  });
  for (const auto &[path, node] : plan.nodes()) writer.add(path, node);
  writer.finish();
  gzip.finish();
  layer.diff_id = tar.finish();
  return layer;
}

}  // namespace

LayerFile LayerFile::parse(std::string_view text) {
  const std::size_t colon = text.rfind(":/");
  LayerFile file;
  file.from = text.substr(0, colon);
  file.to = colon == std::string_view::npos ? text : text.substr(colon + 1);
  const bool climbs =
      std::ranges::any_of(fs::path(file.to), [](const fs::path &part) { return part == ".."; });
  if (file.from.empty() || !file.to.starts_with('/') || climbs || text.find('\0') != std::string_view::npos)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("\"{}\" does not say what goes where", text.substr(0, 200)),
                     "write HOST_PATH:/IMAGE_PATH, such as build/app:/usr/bin/app");
  return file;
}

Layer build_layer(const std::vector<LayerFile> &files, const LayerOptions &options, Store &store) {
  BlobWriter blob = store.writer(kOciLayerGzip);
  Layer layer =
      make_layer(files, options, [&](const char *data, std::size_t size) { blob.write(data, size); });
  layer.blob = blob.commit();
  remember_layer(store, layer);
  return layer;
}

Layer measure_layer(const std::vector<LayerFile> &files, const LayerOptions &options) {
  Hasher hasher;
  std::uint64_t bytes = 0;
  Layer layer = make_layer(files, options, [&](const char *data, std::size_t size) {
    hasher.update(data, size);
    bytes += size;
  });
  layer.blob = {.media_type = std::string(kOciLayerGzip), .digest = hasher.finish(), .size = bytes};
  return layer;
}

std::int64_t source_date_epoch() {
  const char *text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return 0;
  const std::string_view digits = text;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error != std::errc{} || end != digits.data() + digits.size() || seconds < 0)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("SOURCE_DATE_EPOCH is \"{}\"", digits.substr(0, 40)),
                     "it has to be a number of seconds since 1970");
  return seconds;
}

}  // namespace pipes::oci
