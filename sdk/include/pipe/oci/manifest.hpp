#pragma once
// Descriptors, manifests and indexes (OCI image-spec; Docker schema 2). The exact bytes are kept,
// so a digest never changes.
#include <pipe/oci/digest.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::uint64_t kMaxManifestSize = 8u << 20;

struct Platform {
  std::string os, architecture, variant;
  /// "linux/arm64/v8"; throws sdk::Error{PIPE_E_INVALID}.
  static Platform parse(std::string_view text);
  /// This machine's.
  static Platform host();
  std::string str() const;
  /// Whether an image for `other` runs where `*this` is asked for (variant empty: any).
  bool matches(const Platform &other) const;
  /// "app:1 is made for linux/amd64 only, not for linux/arm64", where an image for `offered` does not run
  /// where
  /// `*this` is asked for; else empty.
  std::string misfit(std::string_view image, const std::optional<Platform> &offered) const;
};

struct Descriptor {
  std::string media_type;
  Digest digest = digest_of("");
  std::uint64_t size = 0;
  std::optional<Platform> platform{};
  std::map<std::string, std::string> annotations{};
  std::vector<std::string> urls{};
  std::string artifact_type{};
};

/// A manifest or an index with its exact bytes.
struct Manifest {
  std::string bytes, media_type;
  Digest digest = digest_of("");
  std::optional<Descriptor> config;   // manifests
  std::vector<Descriptor> layers;     // manifests
  std::vector<Descriptor> manifests;  // indexes
  std::optional<Descriptor> subject;
  std::map<std::string, std::string> annotations;
  std::string artifact_type;

  bool is_index() const { return media_type == kOciIndex || media_type == kDockerList; }
  Descriptor descriptor() const { return {.media_type = media_type, .digest = digest, .size = bytes.size()}; }
  /// Sum of config and layer sizes; 0 for an index.
  std::uint64_t blob_bytes() const;
};

/// Reads and checks a manifest: type and shape agree (CVE-2021-41190), no duplicate keys, every
/// digest valid, counts and sizes capped. `content_type` may be empty. Throws
/// sdk::Error{PIPE_E_MISMATCH} if `expected` is given and the bytes do not hash to it,
/// PIPE_E_INVALID otherwise.
Manifest parse_manifest(std::string bytes, std::string_view content_type,
                        const std::optional<Digest> &expected = {});

/// The entry of `index` for `platform`; throws PIPE_E_NOT_FOUND with the list of what there is.
Descriptor select_platform(const Manifest &index, const Platform &platform);
/// An index of those entries of `index` that are for these platforms, with the attestations that belong to
/// them and all that the index says besides; it has a digest of its own, unless nothing was left out. Throws
/// PIPE_E_NOT_FOUND where one of them is missing.
Manifest select_platforms(const Manifest &index, const std::vector<Platform> &);

}  // namespace pipes::oci
