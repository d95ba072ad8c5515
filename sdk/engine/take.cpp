#include <fmt/core.h>
#include <pipe/engine/take.hpp>

namespace pipes::engine {
namespace {

oci::EngineImage described(const std::string &name, const Image &image) {
  oci::EngineImage result{.name = name, .id = image.id, .layers = {}, .keeps_blobs = image.keeps_blobs};
  for (const std::string &text : image.layers)
    if (std::optional<oci::Digest> diff_id = oci::Digest::try_parse(text))
      result.layers.push_back(*std::move(diff_id));
  return result;
}

}  // namespace

oci::TakenImage take(Engine &engine, const std::string &name, oci::Store &store, sdk::Observer &observer) {
  const std::optional<Image> image = engine.image(name);
  if (!image)
    throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("{} has no image {}", engine.version().endpoint, name),
                     "build or pull it there first, or check the name");
  if (const std::optional<oci::Descriptor> known = oci::recall_image(store, image->id))
    return {.image = *known, .remembered = image->layers.size()};
  oci::EngineArchive archive(described(name, *image), store, observer);
  struct Enough {};
  try {
    // By its ID: the name may be given to another image meanwhile.
    engine.save(image->id, [&](const char *data, std::size_t size) {
      if (!archive.write(data, size)) throw Enough();
    });
  } catch (const Enough &) {  // the connection is given up
  }
  return archive.finish();
}

}  // namespace pipes::engine
