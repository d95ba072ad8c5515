#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/layer.hpp>

#include <algorithm>
#include <ctime>

#include "descriptor.hpp"

namespace pipes::oci {
namespace {

/// overlayfs and the engines on it take no more.
constexpr std::size_t kMaxLayers = 127;
constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";

std::string rfc3339(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

[[noreturn]] void bad_base(const std::string &why) {
  throw sdk::Error(PIPE_E_INVALID, "the base image can't be built upon: " + why);
}

Json base_config(const BaseImage &base) {
  ParsedJson parsed = parse_json(base.config);
  const Json::json_pointer ids("/rootfs/diff_ids");
  if (!parsed.problem.empty()) bad_base("its config is broken: " + parsed.problem);
  if (!parsed.value.is_object() || !parsed.value.contains(ids) || !parsed.value.at(ids).is_array())
    bad_base("its config names no layers");
  if (parsed.value.at(ids).size() != base.manifest.layers.size())
    bad_base("its config and its manifest have different numbers of layers");
  return std::move(parsed.value);
}

/// NAME=value, in the order of a base's list; new ones after it.
void merge_env(Json &run, const std::map<std::string, std::string> &env) {
  if (env.empty()) return;
  std::map<std::string, std::string> rest = env;
  Json merged = Json::array();
  if (run.contains("Env") && run["Env"].is_array())
    for (const Json &item : run["Env"]) {
      if (!item.is_string()) bad_base("its environment is broken");
      const std::string text = item.get<std::string>();
      const auto mine = rest.find(text.substr(0, text.find('=')));
      merged.push_back(mine == rest.end() ? text : mine->first + "=" + mine->second);
      if (mine != rest.end()) rest.erase(mine);
    }
  for (const auto &[name, value] : rest) merged.push_back(name + "=" + value);
  run["Env"] = std::move(merged);
}

/// Go's way to write a set: an object of empty objects.
void merge_set(Json &run, const char *key, const std::vector<std::string> &items) {
  std::vector<std::string> sorted = items;
  std::ranges::sort(sorted);
  for (const std::string &item : sorted) run[key][item] = Json::object();
}

void describe_run(Json &run, const ImageSpec &spec) {
  if (!spec.user.empty()) run["User"] = spec.user;
  merge_set(run, "ExposedPorts", spec.ports);
  merge_env(run, spec.env);
  if (!spec.entrypoint.empty()) {
    run["Entrypoint"] = spec.entrypoint;
    run.erase("Cmd");  // it was meant for the other entrypoint
  }
  if (!spec.command.empty()) run["Cmd"] = spec.command;
  merge_set(run, "Volumes", spec.volumes);
  for (const auto &[name, value] : spec.labels) run["Labels"][name] = value;
}

/// Docker's and OCI's names for the same bytes.
Descriptor as_oci(Descriptor layer) {
  if (layer.media_type.starts_with(kDockerLayer)) {
    const bool gzip = layer.media_type.ends_with(".gzip");
    layer.media_type = gzip ? kOciLayerGzip : kOciLayer;
  }
  return layer;
}

}  // namespace

ImageDocuments compose_image(const ImageSpec &spec, const std::vector<Layer> &layers, const BaseImage *base) {
  const std::size_t count = layers.size() + (base != nullptr ? base->manifest.layers.size() : 0);
  if (count > kMaxLayers)
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("the image has {} layers, engines take {}", count, kMaxLayers),
                     "put more into one folder, which is one layer");
  const std::string created = rfc3339(spec.created);
  Json config = base != nullptr ? base_config(*base) : Json::object();
  config["created"] = created;
  if (base == nullptr) {
    config["architecture"] = spec.platform.architecture;
    config["os"] = spec.platform.os;
    if (!spec.platform.variant.empty()) config["variant"] = spec.platform.variant;
    config["config"] = Json::object();
    config["rootfs"] = {{"type", "layers"}, {"diff_ids", Json::array()}};
    config["history"] = Json::array();
  }
  if (!config["config"].is_object()) config["config"] = Json::object();
  try {
    describe_run(config["config"], spec);
  } catch (const Json::exception &) {  // a list where an object belongs, or the like
    bad_base("its config is broken");
  }

  Json manifest = {
      {"schemaVersion", 2}, {"mediaType", kOciManifest}, {"config", Json()}, {"layers", Json::array()}};
  if (base != nullptr)
    for (const Descriptor &layer : base->manifest.layers)
      manifest["layers"].push_back(write_descriptor(as_oci(layer)));
  for (const Layer &layer : layers) {
    manifest["layers"].push_back(write_descriptor(layer.blob));
    config["rootfs"]["diff_ids"].push_back(layer.diff_id.str());
    // A history speaks of every layer or is not there.
    if (config.contains("history") && config["history"].is_array())
      config["history"].push_back({{"created", created}, {"created_by", "pipe build"}});
  }
  ImageDocuments documents;
  documents.config = config.dump();
  manifest["config"] = write_descriptor({.media_type = std::string(kOciConfig),
                                         .digest = digest_of(documents.config),
                                         .size = documents.config.size()});
  documents.manifest = manifest.dump();
  return documents;
}

}  // namespace pipes::oci
