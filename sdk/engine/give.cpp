#include <pipe/engine/give.hpp>

#include <fmt/core.h>

#include <pipe/oci/archive.hpp>
#include <pipe/oci/engine_archive.hpp>

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
                 const std::string &name, sdk::Observer &observer) {
  const oci::Manifest manifest = manifest_for_engine(store, image);
  if (auto there = engine.image(name); there && is_image(there->id, manifest)) return there->id;
  const oci::Descriptor descriptor = manifest.descriptor();
  const std::uint64_t size = oci::docker_archive_size(store, descriptor, {name});
  std::uint64_t done = 0;
  const auto report = [&] {
    observer.progress({.id = 1, .done = done, .total = size, .label = name});
    observer.progress({.id = 0, .done = done, .total = size});
  };
  engine.load(size, [&](const PieceSink &sink) {
    oci::write_docker_archive(store, descriptor, {name}, [&](const char *data, std::size_t count) {
      if (!sink(data, count)) return false;
      done += count;
      report();
      return true;
    });
  });
  const auto loaded = engine.image(name);
  if (!loaded)
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("{} took the image, and has none of the name {} now",
                                                  engine.version().endpoint, name));
  if (is_image(loaded->id, manifest)) oci::remember_image(store, loaded->id, descriptor);
  return loaded->id;
}

}  // namespace pipes::engine
