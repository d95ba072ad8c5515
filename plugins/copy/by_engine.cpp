#include "by_engine.hpp"

#include <pipe/engine/engine.hpp>
#include <pipe/engine/give.hpp>
#include <pipe/engine/take.hpp>
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

oci::TransferResult by_engine(const ByEngine &what, pipes::sdk::Run &run,
                              const oci::BeforeChange &before_change) {
  oci::TemporaryStore temporary;
  oci::Store &store = *temporary;
  oci::TransferResult result;
  if (what.from.kind == Kind::docker_daemon) {
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
