#include <pipe/oci/inspect.hpp>

#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/temporary_store.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <functional>

#include "file.hpp"
#include "json.hpp"
#include "layout_source.hpp"
#include "registries_conf.hpp"
#include "stored_tree.hpp"

namespace pipes::oci {
namespace {

using Kind = ImageName::Kind;

constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";

std::string text(const Json &object, const char *key) {
  return text_member(object, key).value_or("");
}

std::vector<std::string> texts(const Json &object, const char *key) {
  std::vector<std::string> result;
  const auto list = object.find(key);
  if (list == object.end() || !list->is_array()) return result;
  for (const Json &item : *list)
    if (item.is_string()) result.push_back(item.get<std::string>());
  return result;
}

/// Go's way to write a set: an object of empty objects.
std::vector<std::string> keys(const Json &object, const char *key) {
  std::vector<std::string> result;
  const auto set = object.find(key);
  if (set == object.end() || !set->is_object()) return result;
  for (const auto &[name, value] : set->items()) result.push_back(name);
  return result;
}

/// Reads manifests and configs from where an image lies.
struct Reader {
  std::function<Manifest(const Descriptor &)> manifest;
  std::function<std::string(const Descriptor &)> config;
  std::function<bool(const Descriptor &)> has;  // of an index, some may be elsewhere
};

ImageDetails details_of(Manifest manifest, std::optional<Platform> platform, const Reader &reader) {
  ImageDetails details{std::move(manifest), std::move(platform), {}};
  const std::optional<Descriptor> &config = details.manifest.config;
  if (!config || (config->media_type != kOciConfig && config->media_type != kDockerConfig)) return details;
  if (config->size > kMaxManifestSize || !reader.has(*config)) return details;
  details.config = read_image_config(reader.config(*config));
  if (!details.platform) details.platform = details.config->platform;
  return details;
}

/// The descriptors of the images of an index that were asked for.
std::vector<Descriptor> chosen(const Manifest &index, const InspectWhat &what, const Reader &reader) {
  if (what.platform) return {select_platform(index, *what.platform)};
  if (what.all) {
    std::vector<Descriptor> all;
    for (const Descriptor &entry : index.manifests)
      if (!is_attestation(entry) && reader.has(entry)) all.push_back(entry);
    return all;
  }
  try {
    Descriptor mine = select_platform(index, Platform::host());
    if (reader.has(mine)) return {std::move(mine)};
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_NOT_FOUND) throw;
  }
  return {};
}

Inspection look(Manifest root, const InspectWhat &what, const Reader &reader) {
  Inspection result{std::move(root), {}};
  if (!result.root.is_index()) {
    result.images.push_back(details_of(result.root, {}, reader));
    return result;
  }
  for (const Descriptor &entry : chosen(result.root, what, reader)) {
    Manifest manifest = reader.manifest(entry);
    if (!manifest.is_index()) {
      result.images.push_back(details_of(std::move(manifest), entry.platform, reader));
      continue;
    }
    for (const Descriptor &inner : chosen(manifest, what, reader))
      if (Manifest image = reader.manifest(inner); !image.is_index())
        result.images.push_back(details_of(std::move(image), inner.platform, reader));
  }
  return result;
}

Inspection look_into(const LayoutSource &source, std::string_view ref, const InspectWhat &what) {
  const auto read = [&](const Descriptor &part) {
    const std::optional<Content> content = source.blob(part.digest);
    if (!content)
      throw sdk::Error(PIPE_E_NOT_FOUND,
                       fmt::format("{} is not whole: it lacks {}", source.where(), part.digest.str()));
    return content->text(kMaxManifestSize);
  };
  const Reader reader{
      [&](const Descriptor &part) { return parse_manifest(read(part), part.media_type, part.digest); },
      [&](const Descriptor &part) {
        std::string bytes = read(part);
        if (digest_of(bytes, part.digest.algorithm()) != part.digest)
          throw sdk::Error(PIPE_E_MISMATCH, fmt::format("{} is damaged: {} has another content",
                                                        source.where(), part.digest.str()));
        return bytes;
      },
      [&](const Descriptor &part) { return source.blob(part.digest).has_value(); }};
  const std::optional<Descriptor> root = find_image(source, ref);
  if (!root)
    throw sdk::Error(PIPE_E_NOT_FOUND, ref.empty()
                                           ? source.where() + " holds no image"
                                           : fmt::format("{} holds no image {}", source.where(), ref));
  return look(reader.manifest(*root), what, reader);
}

Inspection look_into_archive(const ImageName &name, const InspectWhat &what) {
  TemporaryStore scratch;
  const TarSource source(name.path, scratch.folder());
  if (source.open("oci-layout")) return look_into(source, name.ref, what);
  return inspect(*scratch, import_archive(name.path, name.ref, *scratch), what);
}

Inspection look_at(const Endpoint &endpoint, const InspectWhat &what, const RegistryOptions &options,
                   sdk::Observer &observer) {
  Registry registry(endpoint.reference.registry, options, observer);
  const std::string &repository = endpoint.reference.repository;
  const Reader reader{
      [&](const Descriptor &part) { return registry.manifest(repository, part.digest.str()); },
      [&](const Descriptor &part) {
        std::string bytes;
        registry.get_blob(repository, part,
                          [&](const char *data, std::size_t size) { bytes.append(data, size); });
        if (digest_of(bytes, part.digest.algorithm()) != part.digest)
          throw sdk::Error(
              PIPE_E_MISMATCH,
              fmt::format("the config {} came with other content than its digest says", part.digest.str()),
              "the registry's storage is damaged, or a proxy changes what it sends");
        return bytes;
      },
      [](const Descriptor &) { return true; }};
  return look(registry.manifest(repository, endpoint.reference.identifier()), what, reader);
}

}  // namespace

bool is_attestation(const Descriptor &entry) {
  return entry.annotations.contains("vnd.docker.reference.type") ||
         (entry.platform && entry.platform->os == "unknown");
}

ImageConfig read_image_config(std::string_view json) {
  const ParsedJson parsed = parse_json(json);
  const Json &config = parsed.value;
  if (!parsed.problem.empty() || !config.is_object())
    throw sdk::Error(PIPE_E_INVALID, "the config of the image is broken: " +
                                         (parsed.problem.empty() ? "it is no object" : parsed.problem));
  ImageConfig result;
  if (!text(config, "os").empty() && !text(config, "architecture").empty())
    result.platform = Platform{text(config, "os"), text(config, "architecture"), text(config, "variant")};
  result.created = text(config, "created");
  result.author = text(config, "author");
  const auto run = config.find("config");
  if (run == config.end() || !run->is_object()) return result;
  result.user = text(*run, "User");
  result.working_dir = text(*run, "WorkingDir");
  result.stop_signal = text(*run, "StopSignal");
  result.entrypoint = texts(*run, "Entrypoint");
  result.command = texts(*run, "Cmd");
  result.env = texts(*run, "Env");
  result.ports = keys(*run, "ExposedPorts");
  result.volumes = keys(*run, "Volumes");
  for (const std::string &label : keys(*run, "Labels"))
    result.labels[label] = text((*run)["Labels"], label.c_str());
  return result;
}

Inspection inspect(const Store &store, const Descriptor &root, const InspectWhat &what) {
  const Reader reader{[&](const Descriptor &part) { return store.manifest(part); },
                      [&](const Descriptor &part) { return store.read(part); },
                      [&](const Descriptor &part) { return store.has(part); }};
  return look(store.manifest(root), what, reader);
}

Inspection inspect(const ImageName &name, const InspectWhat &what, const RegistryOptions &options,
                   sdk::Observer &observer) {
  switch (name.kind) {
    case Kind::oci_layout:
      return look_into(FolderSource(name.path), name.ref, what);
    case Kind::oci_archive:
    case Kind::docker_archive:
      return look_into_archive(name, what);
    case Kind::docker_daemon:
      throw sdk::Error(PIPE_E_INVALID, name.str() + " lies in an engine, which is not asked here",
                       "`docker image inspect` shows it");
    case Kind::registry:
      break;
  }
  return ask_in_turn(name.reference, options, observer,
                     [&](const Endpoint &endpoint, const RegistryOptions &how) {
                       return look_at(endpoint, what, how, observer);
                     });
}

std::vector<StoreEntry> list_store(const Store &store) {
  std::vector<StoreEntry> entries;
  const auto on_disk = [&](const Digest &digest) -> std::uint64_t {
    struct stat status {};
    return lstat(store.blob_path(digest).c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size)
                                                                : 0;
  };
  for (StoredImage &image : store.list()) {
    const StoredTree tree = read_stored(store, image.descriptor);
    const std::optional<Digest> subject = attached_to(image.name);
    StoreEntry entry{std::move(image), 0, {}, {}, tree.bad.empty() ? "" : tree.bad.front().why, subject};
    for (const Manifest &manifest : tree.manifests) {
      entry.bytes += manifest.bytes.size();
      for (const Descriptor &child : manifest.manifests) {
        if (is_attestation(child) || !child.platform) continue;
        const bool absent =
            std::ranges::find(tree.absent, child.digest, &Descriptor::digest) != tree.absent.end();
        (absent ? entry.absent : entry.platforms).push_back(*child.platform);
      }
    }
    for (const Descriptor &blob : tree.blobs) entry.bytes += on_disk(blob.digest);
    if (tree.manifests.size() == 1 && !tree.manifests.front().is_index()) {
      try {
        const Inspection found = inspect(store, entry.image.descriptor, {});
        if (found.images.front().platform) entry.platforms.push_back(*found.images.front().platform);
      } catch (const sdk::Error &error) {
        entry.problem = error.message;
      }
    }
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {}, [](const StoreEntry &entry) { return entry.image.name; });
  return entries;
}

}  // namespace pipes::oci
