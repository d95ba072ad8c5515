#pragma once
// Images out of a container engine, read as they come: the archive of GET /images/{name}/get.
#include <pipe/error.hpp>
#include <pipe/oci/digest.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// What an engine says of an image before it gives it away.
struct EngineImage {
  std::string name;            // for messages
  std::string id;              // the digest of its config, or of its manifest or index
  std::vector<Digest> layers;  // diffIDs, lowest first; none: the engine does not say
  bool keeps_blobs = false;    // the engine has manifests and blobs as they were pulled (containerd's store)
};

struct TakenImage {
  Descriptor image;
  std::uint64_t bytes = 0;               // of layers that the engine had to send
  std::size_t made = 0, remembered = 0;  // layers
};

/// Reads an image out of the archive that an engine writes of it, into the store: Docker's old form and that
/// of 25 and later, Podman's, and an OCI layout with blobs as they were pulled, whose digests stay. Layers
/// that come unpacked are compressed while they come, by all cores, unless it is remembered what blob they
/// are. What proves a layer is its digest, never its name or place in the archive.
///
/// Memory does not grow with the image; no copy of the archive is made. Progress is reported a layer.
class EngineArchive {
 public:
  EngineArchive(EngineImage, Store &, sdk::Observer &);
  ~EngineArchive();
  /// The next piece. False: what is still to come is not needed. Throws sdk::Error: PIPE_E_INVALID (no such
  /// archive), PIPE_E_MISMATCH (damaged), PIPE_E_IO.
  bool write(const char *data, std::size_t size);
  /// At the end, or after write's false. Names nothing in the store. PIPE_E_MISMATCH, too, if it was cut off;
  /// PIPE_E_NOT_FOUND if it lacks a part of the image.
  TakenImage finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The image in the store that an engine's image of that ID is: it was taken from there, or loaded from here.
/// nullopt: not known, or a part of it is gone.
std::optional<Descriptor> recall_image(const Store &, std::string_view id);
/// A small file of the store, `.images/<algorithm>/<hex>`. It is not an error if that can't be written.
void remember_image(const Store &, std::string_view id, const Descriptor &image);

}  // namespace pipes::oci
