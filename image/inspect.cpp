#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/inspect.hpp>

namespace pipes::image {
namespace {

std::vector<Option> options() {
  std::vector<Option> all{
      {"platform", "PLATFORM",
       "Of an index, show the image for linux/arm64, say, or `all` (default: this machine's)"}};
  for (Option &option : registry_options()) all.push_back(std::move(option));
  all.push_back(output_option());
  return all;
}

struct Found {
  std::string name, place;  // "registry:3", "store"
  oci::Inspection image;
};

oci::InspectWhat what_of(const Arguments &args) {
  const std::optional<std::string> platform = args.value("platform");
  if (!platform) return {};
  if (*platform == "all") return {.all = true};
  return {.all = false, .platform = usage([&] { return oci::Platform::parse(*platform); })};
}

/// A name as it stands means the store's image, if there is one; `docker://NAME` always the registry's.
Found look(const std::string &text, const Arguments &args, sdk::Observer &watch) {
  using Kind = oci::ImageName::Kind;
  const oci::InspectWhat what = what_of(args);
  const std::filesystem::path path = oci::Store::default_path();
  if (!text.starts_with("docker://") && oci::Store::exists(path)) {
    const oci::Store store(path);
    if (const std::optional<oci::StoredImage> image = store.find(text))
      return {image->name, "store", oci::inspect(store, image->descriptor, what)};
  }
  const oci::ImageName name = usage([&] { return oci::ImageName::parse(text); });
  const char *place = name.kind == Kind::registry     ? "registry"
                      : name.kind == Kind::oci_layout ? "layout"
                                                      : "archive";
  return {name.str(), place, oci::inspect(name, what, registry_options(args), watch)};
}

std::string type_of(const oci::Inspection &image) {
  if (image.root.is_index()) return "index";
  return image.images.front().config ? "image" : "artifact";
}

/// What the index has, or the one image is for.
std::vector<oci::Platform> platforms_of(const oci::Inspection &image) {
  std::vector<oci::Platform> platforms;
  for (const oci::Descriptor &entry : image.root.manifests)
    if (entry.platform && !oci::is_attestation(entry)) platforms.push_back(*entry.platform);
  if (!image.root.is_index() && image.images.front().platform)
    platforms.push_back(*image.images.front().platform);
  return platforms;
}

Value::Map json_of_blob(const oci::Descriptor &blob) {
  return {{"digest", blob.digest.str()}, {"size", json_of(blob.size)}, {"media_type", blob.media_type}};
}

Value json_of_map(const std::map<std::string, std::string> &map) {
  Value::Map result;
  for (const auto &[key, value] : map) result.emplace_back(key, value);
  return result;
}

Value json_of_config(const oci::ImageConfig &config) {
  return Value::Map{{"created", config.created},
                    {"author", config.author},
                    {"user", config.user},
                    {"working_dir", config.working_dir},
                    {"stop_signal", config.stop_signal},
                    {"entrypoint", json_of(config.entrypoint)},
                    {"command", json_of(config.command)},
                    {"env", json_of(config.env)},
                    {"ports", json_of(config.ports)},
                    {"volumes", json_of(config.volumes)},
                    {"labels", json_of_map(config.labels)}};
}

Value json_of_details(const oci::ImageDetails &details) {
  const oci::Manifest &manifest = details.manifest;
  Value::List layers;
  for (const oci::Descriptor &layer : manifest.layers) layers.emplace_back(json_of_blob(layer));
  Value::Map map{{"digest", manifest.digest.str()}, {"media_type", manifest.media_type}};
  if (details.platform) map.emplace_back("platform", details.platform->str());
  if (!manifest.artifact_type.empty()) map.emplace_back("artifact_type", manifest.artifact_type);
  map.emplace_back("size", json_of(manifest.blob_bytes()));
  map.emplace_back("layers", std::move(layers));
  if (details.config) map.emplace_back("config", json_of_config(*details.config));
  map.emplace_back("annotations", json_of_map(manifest.annotations));
  return map;
}

void print_as_json(const Found &found) {
  const oci::Manifest &root = found.image.root;
  Value::List manifests, images;
  for (const oci::Descriptor &entry : root.manifests) {
    Value::Map json = json_of_blob(entry);
    if (entry.platform) json.emplace_back("platform", entry.platform->str());
    if (oci::is_attestation(entry)) json.emplace_back("attestation", true);
    manifests.push_back(std::move(json));
  }
  for (const oci::ImageDetails &details : found.image.images) images.push_back(json_of_details(details));
  Value::Map map{{"name", found.name},
                 {"place", found.place},
                 {"digest", root.digest.str()},
                 {"type", type_of(found.image)},
                 {"media_type", root.media_type},
                 {"platforms", json_of(platforms_of(found.image))}};
  if (root.subject) map.emplace_back("subject", root.subject->digest.str());
  if (root.is_index()) map.emplace_back("manifests", std::move(manifests));
  map.emplace_back("images", std::move(images));
  print_json(std::move(map));
}

/// Lines of `key  value`, those without a value left out.
class Lines {
 public:
  explicit Lines(std::size_t indent) : indent_(indent) {}
  void add(std::string_view key, const std::string &value) {
    if (value.empty()) return;
    text += fmt::format("{:{}}{:<11} {}\n", "", indent_, key, printable(value));
  }
  void add(std::string_view key, const std::vector<std::string> &values) {
    for (const std::string &value : values) {
      add(key, value);
      key = "";
    }
  }
  std::string text;

 private:
  std::size_t indent_;
};

std::string words_text(const std::vector<std::string> &words) {
  return words.empty() ? "" : to_json(json_of(words));
}

std::string text_of(const oci::ImageDetails &details) {
  const oci::Manifest &manifest = details.manifest;
  Lines lines(2);
  if (details.config) {
    const oci::ImageConfig &config = *details.config;
    lines.add("created", config.created);
    lines.add("author", config.author);
    lines.add("user", config.user);
    lines.add("entrypoint", words_text(config.entrypoint));
    lines.add("command", words_text(config.command));
    lines.add("working dir", config.working_dir);
    lines.add("stop signal", config.stop_signal);
    lines.add("env", config.env);
    lines.add("ports", config.ports);
    lines.add("volumes", config.volumes);
    std::vector<std::string> labels;
    for (const auto &[key, value] : config.labels) labels.push_back(key + "=" + value);
    lines.add("labels", labels);
  }
  lines.add("artifact", manifest.artifact_type);
  lines.add("layers",
            fmt::format("{}, {} with the config", manifest.layers.size(), bytes_text(manifest.blob_bytes())));
  for (const oci::Descriptor &layer : manifest.layers)
    lines.text += fmt::format("    {} {:>9}  {}\n", layer.digest.str(), bytes_text(layer.size),
                              printable(layer.media_type));
  return lines.text;
}

void print_as_text(const Found &found) {
  const oci::Manifest &root = found.image.root;
  Lines head(0);
  head.text = fmt::format("{}, in the {}\n", printable(found.name), found.place);
  head.add("digest", root.digest.str());
  head.add("type", fmt::format("{}, {}", type_of(found.image), root.media_type));
  if (root.subject) head.add("belongs to", root.subject->digest.str());
  head.add("platforms", joined(platforms_of(found.image)));
  for (const oci::ImageDetails &details : found.image.images) {
    if (root.is_index())
      head.text +=
          fmt::format("\n{} {}\n", details.platform ? printable(details.platform->str()) : "manifest",
                      details.manifest.digest.str());
    head.text += text_of(details);
  }
  if (found.image.images.empty())
    head.text += "\nnone of them is for this machine; --platform shows one, or all\n";
  cli::print(head.text);
}

int run(const Words &words) {
  const auto args = cli::arguments(kInspect, words);
  if (!args) return 0;
  const bool json = wants_json(*args);
  const std::string &name = words_of(*args, kInspect, 1, 1).front();
  Watch watch;
  const Found found = look(name, *args, watch);
  json ? print_as_json(found) : print_as_text(found);
  return 0;
}

}  // namespace

const Verb kInspect{
    "image inspect",
    "NAME [--platform PLATFORM|all] [--output json]",
    "Show what an image is: digest, platforms, layers, config",
    "Shows an image of the store, a registry, a layout (oci:DIR) or an archive (oci-archive:FILE,\n"
    "docker-archive:FILE). A name means the store's image if there is one, else the registry's;\n"
    "docker://NAME always means the registry's. No layer is fetched for it.\n\n"
    "  pipe image inspect registry:3 --platform all",
    options,
    run};

}  // namespace pipes::image
