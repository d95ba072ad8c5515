#include "layer_memory.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pipe/error.hpp>
#include <pipe/oci/engine_archive.hpp>

#include <algorithm>
#include <filesystem>

#include "descriptor.hpp"
#include "file.hpp"
#include "image_tree.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr const char *kLayers = ".layers", *kImages = ".images";
constexpr const char *kUnpacked = "unpackedSize";
constexpr std::size_t kMaxEntry = 64u << 10;

fs::path place_of(const Store &store, const char *folder, const Digest &key) {
  return store.path() / folder / std::string(key.algorithm()) / std::string(key.hex());
}

/// What an entry says; nullopt if there is none, or none that can be read.
std::optional<Json> read_entry(const fs::path &path) {
  try {
    const UniqueFd fd = open_regular(path);
    if (!fd) return std::nullopt;
    ParsedJson parsed = parse_json(read_file(fd.get(), path, kMaxEntry));
    if (!parsed.problem.empty() || !parsed.value.is_object()) return std::nullopt;
    return std::move(parsed.value);
  } catch (const sdk::Error &) {
    return std::nullopt;
  }
}

/// Readers see all of an entry or none. It is not synced: at worst, what it says is found out once more.
void write_entry(const fs::path &path, const Json &entry) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  std::string next = path.string() + "-XXXXXX";
  const UniqueFd fd(mkostemp(next.data(), O_CLOEXEC));
  if (!fd) return;
  try {
    const std::string text = entry.dump();
    write_all(fd.get(), text.data(), text.size(), next);
    if (rename(next.c_str(), path.c_str()) == 0) return;
  } catch (const sdk::Error &) {  // a full disk: what needs room for itself will say so
  }
  unlink(next.c_str());
}

std::optional<Layer> layer_of(const Store &store, const fs::path &path, const Digest &diff_id) {
  const std::optional<Json> entry = read_entry(path);
  if (!entry) return std::nullopt;
  try {
    const auto size = entry->find(kUnpacked);
    if (size == entry->end() || !size->is_number_unsigned()) return std::nullopt;
    Layer layer{read_descriptor(*entry), diff_id, size->get<std::uint64_t>()};
    layer.blob = {.media_type = layer.blob.media_type, .digest = layer.blob.digest, .size = layer.blob.size};
    if (store.has(layer.blob)) return layer;
  } catch (const sdk::Error &) {  // no descriptor
  }
  return std::nullopt;
}

/// Of an index, what was there when it was taken: an engine rarely has all platforms.
bool is_present(const Store &store, const Descriptor &image) {
  if (!store.has(image)) return false;
  const ImageTree tree = walk_image(store.manifest(image), [&](const std::vector<Descriptor> &level) {
    std::vector<Manifest> manifests;
    for (const Descriptor &child : level)
      if (store.has(child)) manifests.push_back(store.manifest(child));
    return manifests;
  });
  return std::ranges::any_of(tree.manifests, [](const Manifest &each) { return !each.is_index(); }) &&
         std::ranges::all_of(tree.blobs,
                             [&](const Descriptor &blob) { return store.has(blob) || is_foreign(blob); });
}

std::optional<Descriptor> image_of(const Store &store, const fs::path &path) {
  const std::optional<Json> entry = read_entry(path);
  if (!entry) return std::nullopt;
  try {
    Descriptor image = read_descriptor(*entry);
    if (is_present(store, image)) return image;
  } catch (const sdk::Error &) {  // no descriptor, or no manifest
  }
  return std::nullopt;
}

template <class Believed>
std::size_t prune(const fs::path &folder, Believed believed) {
  std::size_t removed = 0;
  std::error_code error;
  for (const fs::directory_entry &algorithm : fs::directory_iterator(folder, error)) {
    std::error_code inner;
    for (const fs::directory_entry &entry : fs::directory_iterator(algorithm.path(), inner)) {
      const std::optional<Digest> key = Digest::try_parse(
          fmt::format("{}:{}", algorithm.path().filename().string(), entry.path().filename().string()));
      if (key && believed(entry.path(), *key)) continue;
      if (unlink(entry.path().c_str()) == 0) ++removed;
    }
  }
  return removed;
}

}  // namespace

std::optional<Layer> recall_layer(const Store &store, const Digest &diff_id) {
  return layer_of(store, place_of(store, kLayers, diff_id), diff_id);
}

void remember_layer(const Store &store, const Layer &layer) {
  Json entry = write_descriptor(layer.blob);
  entry[kUnpacked] = layer.size;
  write_entry(place_of(store, kLayers, layer.diff_id), entry);
}

std::optional<Descriptor> recall_image(const Store &store, std::string_view id) {
  const std::optional<Digest> key = Digest::try_parse(id);
  return key ? image_of(store, place_of(store, kImages, *key)) : std::nullopt;
}

void remember_image(const Store &store, std::string_view id, const Descriptor &image) {
  const std::optional<Digest> key = Digest::try_parse(id);
  if (key)
    write_entry(
        place_of(store, kImages, *key),
        write_descriptor({.media_type = image.media_type, .digest = image.digest, .size = image.size}));
}

std::size_t prune_memory(const Store &store) {
  return prune(store.path() / kLayers,
               [&](const fs::path &path, const Digest &key) {
                 return layer_of(store, path, key).has_value();
               }) +
         prune(store.path() / kImages,
               [&](const fs::path &path, const Digest &) { return image_of(store, path).has_value(); });
}

}  // namespace pipes::oci
