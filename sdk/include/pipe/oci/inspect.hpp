#pragma once
// What there is to know of an image, wherever it lies, without fetching its layers.
#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/registry.hpp>
#include <pipe/oci/store.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// What a config says of how an image is run (image-spec, config.md). Members that are not there, or are
/// of another type than they should be, are empty.
struct ImageConfig {
  std::optional<Platform> platform;
  std::string created, author, user, working_dir, stop_signal;
  std::vector<std::string> entrypoint, command, env;
  std::vector<std::string> ports, volumes;
  std::map<std::string, std::string> labels;
};
/// Throws sdk::Error{PIPE_E_INVALID} for what is no JSON object.
ImageConfig read_image_config(std::string_view json);

/// Whether an entry of an index is no image: provenance and SBOMs lie there like images, for no platform.
bool is_attestation(const Descriptor &entry);

/// One manifest that is no index.
struct ImageDetails {
  Manifest manifest;
  std::optional<Platform> platform;   // from the index, else from the config
  std::optional<ImageConfig> config;  // of images; artifacts have none
};

struct Inspection {
  Manifest root;  // a manifest or an index
  /// The root, or those images of the index that were asked for. Attestations are not among them.
  std::vector<ImageDetails> images;
};

/// Which images of an index are looked at: one platform's (PIPE_E_NOT_FOUND where it is not there), all
/// that are there, or (neither) this machine's where it is there.
struct InspectWhat {
  bool all = false;
  std::optional<Platform> platform{};
};

/// An image of a registry (mirrors are asked first), a layout or an archive; not of an engine
/// (PIPE_E_INVALID). Archives without an index, as Docker wrote them before 25, are unpacked into a folder
/// in $TMPDIR for it. Throws what Registry and import_archive throw.
Inspection inspect(const ImageName &, const InspectWhat &, const RegistryOptions &, sdk::Observer &);
/// An image of the store.
Inspection inspect(const Store &, const Descriptor &root, const InspectWhat &);

/// A name of the store and what belongs to it.
struct StoreEntry {
  StoredImage image;
  std::uint64_t bytes = 0;            // on disk; what two images share counts for both
  std::vector<Platform> platforms;    // that are here
  std::vector<Platform> absent;       // that the index has, and the store has not
  std::string problem;                // why nothing can be said of it
  std::optional<Digest> attached_to;  // of referrers and signatures: the image they belong to
};
/// Every name of the store, sorted.
std::vector<StoreEntry> list_store(const Store &);

}  // namespace pipes::oci
