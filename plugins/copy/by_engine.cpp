#include "by_engine.hpp"

#include <pipe/engine/engine.hpp>
#include <pipe/engine/give.hpp>
#include <pipe/engine/take.hpp>
#include <pipe/oci/engine_archive.hpp>
#include <pipe/oci/temporary_store.hpp>

namespace copy {
namespace {

namespace oci = pipes::oci;
namespace engine = pipes::engine;
using Kind = oci::ImageName::Kind;

/// Of what came out of an engine or an archive.
oci::Descriptor chosen(const oci::Store &store, const oci::Descriptor &image,
                       const oci::PlatformChoice &choice) {
  if (choice.all) return image;
  const oci::Manifest manifest = store.manifest(image);
  return manifest.is_index() ? oci::select_platform(manifest, choice.platform) : image;
}

oci::TransferResult give(const ByEngine &what, oci::Store &store, oci::TransferResult result,
                         pipes::sdk::Run &run) {
  engine::Engine there = engine::Engine::connect(what.engine, run);
  const std::string name = what.to.reference.str();
  const auto before = there.image(name);
  result.unchanged = before && engine::is_image(before->id, engine::manifest_for_engine(store, result.image));
  if (!result.unchanged) engine::give(there, store, result.image, name, run);
  return result;
}

}  // namespace

std::optional<oci::ImageName> remembered(const ByEngine &what, pipes::sdk::Run &run) {
  if (!oci::Store::exists(oci::Store::default_path())) return std::nullopt;
  const auto image = engine::Engine::connect(what.engine, run).image(what.from.reference.str());
  if (!image) return std::nullopt;
  const oci::Store store(oci::Store::default_path());
  const std::optional<oci::Descriptor> known = oci::recall_image(store, image->id);
  if (!known) return std::nullopt;
  return oci::ImageName{.kind = Kind::oci_layout,
                        .reference = {},
                        .path = store.path().string(),
                        .ref = chosen(store, *known, what.platform).digest.str()};
}

oci::TransferResult by_engine(const ByEngine &what, pipes::sdk::Run &run,
                              const oci::BeforeChange &before_change) {
  // What an engine holds unpacked is kept in the user's own store, so that it is compressed once.
  const bool keeps = what.from.kind == Kind::docker_daemon;
  std::optional<oci::TemporaryStore> temporary;
  if (!keeps) temporary.emplace();
  oci::Store store = keeps ? oci::Store(oci::Store::default_path()) : **temporary;
  oci::TransferResult result;
  if (keeps) {
    engine::Engine there = engine::Engine::connect(what.engine, run);
    const oci::TakenImage taken = engine::take(there, what.from.reference.str(), store, run);
    result.image = chosen(store, taken.image, what.platform);
    result.source_digest = result.image.digest;
    result.size = oci::stored_size(store, result.image).value_or(0);
    result.bytes = taken.bytes;
  } else {
    result = oci::fetch(what.from, what.platform, what.from_options, store, run);
  }
  if (what.to.kind == Kind::docker_daemon) return give(what, store, std::move(result), run);
  return oci::send(store, result.image, what.to, what.to_options, run, before_change);
}

}  // namespace copy
