#pragma once
// Images made of files, without a daemon and without root. The same files give the same digests,
// whoever makes them and whenever: sorted, one owner, one time, modes that do not depend on the umask.
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/store.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// A file or a folder of this machine, and its place in the image.
struct LayerFile {
  std::filesystem::path from;
  std::string to;  // absolute; a file goes into it if it ends with '/', a folder's content always does

  /// `HOST_PATH:/IMAGE_PATH`, or `/PATH` alone for the same path in both. Throws PIPE_E_INVALID.
  static LayerFile parse(std::string_view text);
};

struct LayerOptions {
  std::int64_t mtime = 0;  // of every entry, seconds since 1970
  std::uint32_t uid = 0, gid = 0;
  /// Whether folders on the way to a file become entries, too: an image without a base needs them, on
  /// top of a base they could hide its links (/lib -> usr/lib).
  bool parents = true;
};

struct Layer {
  Descriptor blob;                 // tar+gzip
  Digest diff_id = digest_of("");  // of the tar
  std::uint64_t size = 0;          // of the tar, bytes
};

/// Makes a layer and puts its blob into the store. Files that may be executed by their owner become 0755,
/// others 0644, folders 0755. A link that is named is followed, links in a folder are kept as they are;
/// files that are hard links of each other stay so. Throws PIPE_E_NOT_FOUND, PIPE_E_INVALID (a device,
/// two things in one place), PIPE_E_IO (not readable).
Layer build_layer(const std::vector<LayerFile> &files, const LayerOptions &, Store &);
/// The same without keeping it: what the digests would be.
Layer measure_layer(const std::vector<LayerFile> &files, const LayerOptions &);

/// What an image says of how to run it. What is empty is left to the base, or out.
struct ImageSpec {
  Platform platform = Platform::host();
  std::vector<std::string> entrypoint, command;
  std::map<std::string, std::string> env, labels;
  std::vector<std::string> ports;    // "5000/tcp"
  std::vector<std::string> volumes;  // absolute paths
  std::string user;
  std::int64_t created = 0;  // seconds since 1970
};

/// The image to build upon.
struct BaseImage {
  Manifest manifest;
  std::string config;
};

/// A config and the manifest that refers to it: the bytes to store.
struct ImageDocuments {
  std::string config, manifest;
};
/// Pure: reads and writes nothing. `base` may be null. An entrypoint drops the base's command, as in a
/// Dockerfile. Throws PIPE_E_INVALID for more layers than engines mount (127) or a broken base.
ImageDocuments compose_image(const ImageSpec &, const std::vector<Layer> &layers, const BaseImage *base);

/// $SOURCE_DATE_EPOCH, else 0 (reproducible-builds.org). Throws PIPE_E_INVALID if it is no number.
std::int64_t source_date_epoch();

}  // namespace pipes::oci
