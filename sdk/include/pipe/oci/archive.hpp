#pragma once
// Images in single files: oci-archive (a tarred OCI layout) and docker-archive (docker save).
#include <pipe/oci/reference.hpp>
#include <pipe/oci/store.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// Reads an image out of a file or a layout folder into the store; returns its root descriptor. `ref` is
/// a name in it, or a digest; empty: the only image in it (PIPE_E_INVALID lists the names when there are
/// several). Names in it do not become names in the store. Of an index, the images that are not there
/// are left out (docker save writes such); the index is kept as it is.
///
/// A file may be an oci-archive or either form of docker-archive, told apart by content, and be
/// compressed by gzip or zstd. What an old docker-archive holds unpacked is compressed on its way in.
Descriptor import_archive(const std::filesystem::path &file, std::string_view ref, Store &);
Descriptor import_layout(const std::filesystem::path &folder, std::string_view ref, Store &);

/// An image that was read into the store, and the names that it has where it came from. Who trusts those
/// lets whoever made the file decide what a name of the store means.
struct Imported {
  Descriptor image;
  std::vector<std::string> names;
};
/// The same for the file or folder of a name (PIPE_E_INVALID for a registry's or an engine's), with its
/// names.
Imported import_named(const ImageName &from, Store &);

/// What the file or folder of a name (not of a registry's or an engine's) holds, from its index alone,
/// nothing imported. nullopt: no such file, no such image in it, or no index (an old docker-archive).
std::optional<Descriptor> peek(const ImageName &);

/// Writes an image (with everything it refers to) to a file, atomically. The same image gives the
/// same bytes. Folders on the way are made. PIPE_E_NOT_FOUND: the store lacks a part of the image.
void export_oci_archive(const Store &, const Descriptor &image, std::string_view ref,
                        const std::filesystem::path &file);
void export_docker_archive(const Store &, const Descriptor &image, const std::vector<std::string> &names,
                           const std::filesystem::path &file);
void export_layout(const Store &, const Descriptor &image, std::string_view ref,
                   const std::filesystem::path &folder);

/// The docker-archive form (which also is an OCI layout, as Docker 25 and later write it) as a stream,
/// for POST /images/load: every engine reads it. `image` must be a manifest, not an index. Layers stay
/// compressed. Calls `sink` with pieces; its false stops the writing.
void write_docker_archive(const Store &, const Descriptor &image, const std::vector<std::string> &names,
                          const std::function<bool(const char *data, std::size_t size)> &sink);
/// Its exact length in bytes, known beforehand.
std::uint64_t docker_archive_size(const Store &, const Descriptor &image,
                                  const std::vector<std::string> &names);

}  // namespace pipes::oci
