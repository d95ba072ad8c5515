#include <pipe/engine/give.hpp>

#include <fmt/core.h>

#include <pipe/oci/archive.hpp>

namespace pipes::engine {

oci::Manifest manifest_for_engine(const oci::Store &store, const oci::Descriptor &image) {
  oci::Manifest manifest = store.manifest(image);
  if (manifest.is_index()) manifest = store.manifest(oci::select_platform(manifest, oci::Platform::host()));
  return manifest;
}

bool is_image(std::string_view id, const oci::Manifest &manifest) {
  return id == manifest.digest.str() || (manifest.config && id == manifest.config->digest.str());
}

std::string give(Engine &engine, const oci::Store &store, const oci::Descriptor &image,
                 const std::string &name) {
  const oci::Manifest manifest = manifest_for_engine(store, image);
  if (auto there = engine.image(name); there && is_image(there->id, manifest)) return there->id;
  const oci::Descriptor descriptor = manifest.descriptor();
  engine.load(oci::docker_archive_size(store, descriptor, {name}),
              [&](const PieceSink &sink) { oci::write_docker_archive(store, descriptor, {name}, sink); });
  const auto loaded = engine.image(name);
  if (!loaded)
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("{} took the image, and has none of the name {} now",
                                                  engine.version().endpoint, name));
  return loaded->id;
}

}  // namespace pipes::engine
