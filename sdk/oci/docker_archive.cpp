#include "docker_archive.hpp"

#include <fmt/core.h>
#include <memory>
#include <pipe/error.hpp>
#include <set>

#include "descriptor.hpp"
#include "layer_intake.hpp"

namespace pipes::oci {
namespace {

constexpr std::uint64_t kMaxList = 64u << 20;

[[noreturn]] void bad(const std::string &where, const std::string &why) {
  throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is no docker-archive: {}", where, why));
}

std::vector<std::string> texts(const std::string &where, const Json &object, const char *key) {
  std::vector<std::string> result;
  const auto list = object.find(key);
  if (list == object.end() || list->is_null()) return result;
  if (!list->is_array()) bad(where, fmt::format("\"{}\" in manifest.json is no list", key));
  for (const Json &item : *list) {
    if (!item.is_string())
      bad(where, fmt::format("\"{}\" in manifest.json has something other than names", key));
    result.push_back(item.get<std::string>());
  }
  return result;
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

}  // namespace

std::vector<SavedImage> parse_saved_images(const std::string &manifest_json, const std::string &where) {
  const ParsedJson parsed = parse_json(manifest_json);
  if (!parsed.problem.empty()) bad(where, "manifest.json can't be read: " + parsed.problem);
  if (!parsed.value.is_array()) bad(where, "manifest.json is no list");
  std::vector<SavedImage> images;
  for (const Json &entry : parsed.value) {
    if (!entry.is_object()) bad(where, "manifest.json has something other than images");
    images.push_back({text_member(entry, "Config").value_or(""), texts(where, entry, "RepoTags"),
                      texts(where, entry, "Layers")});
  }
  return images;
}

Imported import_old_docker_archive(const LayoutSource &source, std::string_view ref, Store &store) {
  const std::string where = source.where();
  const std::optional<Content> list = source.open("manifest.json");
  if (!list) bad(where, "it has neither an index.json nor a manifest.json");
  const std::vector<SavedImage> images = parse_saved_images(list->text(kMaxList), where);
  const SavedImage &image = choose(source, images, ref);
  const std::optional<Content> config_content = source.open(image.config);
  if (!config_content) bad(where, fmt::format("it lacks the config {}", image.config));
  const std::string config = config_content->text(kMaxManifestSize);
  const std::vector<Digest> ids = diff_ids_of(config, where);
  if (ids.size() != image.layers.size())
    bad(where, fmt::format("it has {} layers where its config names {}", image.layers.size(), ids.size()));

  LayerIntake intake(store);
  std::set<Digest> begun;  // one layer may be there several times
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!begun.insert(ids[i]).second || intake.find(ids[i]) != nullptr) continue;
    const std::optional<Content> content = source.open(image.layers[i]);
    if (!content) bad(where, fmt::format("it lacks the layer {}", image.layers[i]));
    std::unique_ptr<LayerWriter> layer = intake.begin(content->path.string(), ids[i]);
    content->copy_to([&](const char *data, std::size_t size) { layer->write(data, size); });
    intake.end(std::move(layer));
  }
  return {intake.put_image(config, where), image.names};
}

}  // namespace pipes::oci
