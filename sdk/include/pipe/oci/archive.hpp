#pragma once
// Images in single files: oci-archive (a tarred OCI layout) and docker-archive (docker save).
#include <pipe/oci/store.hpp>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace pipes::oci {

/// Reads an image out of a file or a layout folder into the store; returns its root descriptor.
/// `ref` empty: the only image in it (PIPE_E_INVALID lists the names when there are several).
Descriptor import_archive(const std::filesystem::path &file, std::string_view ref, Store &);         // either kind, told apart by content
Descriptor import_layout(const std::filesystem::path &folder, std::string_view ref, Store &);

/// Writes an image (with everything it refers to) to a file, atomically. The same image gives the
/// same bytes.
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
std::uint64_t docker_archive_size(const Store &, const Descriptor &image, const std::vector<std::string> &names);

}  // namespace pipes::oci
