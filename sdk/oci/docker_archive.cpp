#include "docker_archive.hpp"

#include <fmt/core.h>

#include <map>
#include <pipe/error.hpp>

#include "descriptor.hpp"
#include "image_tree.hpp"

namespace pipes::oci {
namespace {

constexpr std::uint64_t kMaxList = 64u << 20;
constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";

struct SavedImage {
  std::string config;
  std::vector<std::string> names, layers;
};

[[noreturn]] void bad(const LayoutSource &source, const std::string &why) {
  throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is no docker-archive: {}", source.where(), why));
}

std::vector<std::string> texts(const LayoutSource &source, const Json &object, const char *key) {
  std::vector<std::string> result;
  const auto list = object.find(key);
  if (list == object.end() || list->is_null()) return result;
  if (!list->is_array()) bad(source, fmt::format("\"{}\" in manifest.json is no list", key));
  for (const Json &item : *list) {
    if (!item.is_string())
      bad(source, fmt::format("\"{}\" in manifest.json has something other than names", key));
    result.push_back(item.get<std::string>());
  }
  return result;
}

std::vector<SavedImage> saved_images(const LayoutSource &source) {
  const std::optional<Content> content = source.open("manifest.json");
  if (!content) bad(source, "it has neither an index.json nor a manifest.json");
  const ParsedJson parsed = parse_json(content->text(kMaxList));
  if (!parsed.problem.empty()) bad(source, "manifest.json can't be read: " + parsed.problem);
  if (!parsed.value.is_array()) bad(source, "manifest.json is no list");
  std::vector<SavedImage> images;
  for (const Json &entry : parsed.value) {
    if (!entry.is_object()) bad(source, "manifest.json has something other than images");
    images.push_back({text_member(entry, "Config").value_or(""), texts(source, entry, "RepoTags"),
                      texts(source, entry, "Layers")});
  }
  return images;
}

const SavedImage &choose(const LayoutSource &source, const std::vector<SavedImage> &images,
                         std::string_view ref) {
  std::string names;
  for (const SavedImage &image : images) {
    for (const std::string &name : image.names) {
      if (same_name(name, ref)) return image;
      names += (names.empty() ? "" : ", ") + name;
    }
  }
  if (ref.empty() && images.size() == 1) return images.front();
  if (images.empty()) throw sdk::Error(PIPE_E_NOT_FOUND, source.where() + " holds no image");
  if (ref.empty())
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} holds {} images", source.where(), images.size()),
                     fmt::format("name one, after a ':' at the end: {}", names));
  throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("{} holds no image {}", source.where(), ref),
                   names.empty() ? "" : fmt::format("it holds {}", names));
}

/// The digests that the layers have unpacked (image-spec, config.md, "rootfs").
std::vector<Digest> diff_ids(const LayoutSource &source, const std::string &config) {
  const ParsedJson parsed = parse_json(config);
  const Json::json_pointer path("/rootfs/diff_ids");
  if (!parsed.problem.empty() || !parsed.value.is_object() || !parsed.value.contains(path) ||
      !parsed.value.at(path).is_array())
    bad(source, "its config names no layers");
  std::vector<Digest> result;
  for (const Json &id : parsed.value.at(path)) {
    const std::optional<Digest> digest =
        id.is_string() ? Digest::try_parse(id.get_ref<const std::string &>()) : std::nullopt;
    if (!digest) bad(source, "its config names a layer by something other than a digest");
    result.push_back(*digest);
  }
  return result;
}

Descriptor import_layer(const Content &content, const Digest &diff_id, Store &store) {
  std::string start;
  Content head{{}, content.fd, content.offset, std::min<std::uint64_t>(content.size, 6), content.path};
  start = head.text(6);
  const Compression compression = detect_compression(start);
  BlobWriter blob = store.writer(compression == Compression::zstd ? kOciLayerZstd : kOciLayerGzip);
  const auto write_blob = [&](const char *data, std::size_t size) { blob.write(data, size); };
  Hasher unpacked(diff_id.algorithm());
  const auto hash = [&](const char *data, std::size_t size) { unpacked.update(data, size); };
  if (compression == Compression::none) {
    GzipWriter gzip(write_blob);
    content.copy_to([&](const char *data, std::size_t size) {
      hash(data, size);
      gzip.write(data, size);
    });
    gzip.finish();
  } else {
    const auto decoder = make_decoder(compression, hash, content.path.string());
    content.copy_to([&](const char *data, std::size_t size) {
      write_blob(data, size);
      decoder->write(data, size);
    });
    decoder->finish();
  }
  if (unpacked.finish() != diff_id)
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("{} is not the layer {} that the image names", content.path.string(), diff_id.brief()),
        "the archive is damaged; write it again");
  return blob.commit();
}

}  // namespace

Imported import_old_docker_archive(const LayoutSource &source, std::string_view ref, Store &store) {
  const std::vector<SavedImage> images = saved_images(source);
  const SavedImage &image = choose(source, images, ref);
  const std::optional<Content> config_content = source.open(image.config);
  if (!config_content) bad(source, fmt::format("it lacks the config {}", image.config));
  const std::string config = config_content->text(kMaxManifestSize);
  const std::vector<Digest> ids = diff_ids(source, config);
  if (ids.size() != image.layers.size())
    bad(source, fmt::format("it has {} layers where its config names {}", image.layers.size(), ids.size()));

  Json manifest = {{"schemaVersion", 2}, {"mediaType", kOciManifest}};
  manifest["config"] = write_descriptor(store.put(config, kOciConfig));
  manifest["layers"] = Json::array();
  std::map<Digest, Descriptor> known;  // one layer may be there several times
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto layer = known.find(ids[i]);
    if (layer == known.end()) {
      const std::optional<Content> content = source.open(image.layers[i]);
      if (!content) bad(source, fmt::format("it lacks the layer {}", image.layers[i]));
      layer = known.emplace(ids[i], import_layer(*content, ids[i], store)).first;
    }
    manifest["layers"].push_back(write_descriptor(layer->second));
  }
  return {store.put(manifest.dump(), kOciManifest), image.names};
}

}  // namespace pipes::oci
