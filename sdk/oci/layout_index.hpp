#pragma once
// index.json of an OCI image layout (image-spec, image-layout.md). For .cpp files of this folder only.
#include <pipe/oci/store.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "json.hpp"

namespace pipes::oci {

/// An annotation: the full name, where `kRefName` may be the tag alone.
inline constexpr const char *kContainerdName = "io.containerd.image.name";
inline constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
inline constexpr std::string_view kLayoutFile = "{\"imageLayoutVersion\":\"1.0.0\"}";
inline constexpr std::string_view kEmptyIndex =
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}";

inline constexpr const char *kLayoutLock = ".lock";

/// Checks the bytes of index.json; `where` names it in errors (PIPE_E_INVALID). Members that are not
/// known stay in it.
Json parse_index(std::string_view bytes, std::string_view where);
/// An entry with its name apart: the annotation is not among those of the descriptor.
StoredImage read_entry(const Json &entry, std::string_view where);
Json write_entry(const StoredImage &image);
/// The name of an entry; empty if it has none.
std::string entry_name(const Json &entry);

/// The index in an open file; `path` names it in errors.
Json read_index(int fd, const std::filesystem::path &path);
/// The index of the layout at `root`.
Json load_index(const std::filesystem::path &root);
/// All its entries, also those without a name.
std::vector<StoredImage> load_images(const std::filesystem::path &root);
using NamedImages = std::map<std::string, Descriptor, std::less<>>;
/// Points names at images, under the layout's lock; writes nothing where all do already. An image without a
/// name takes the place of the one before it.
void set_images(const std::filesystem::path &root, const NamedImages &images);
/// Puts an index without names in its place; one that can't be read stays as index.json.broken.
void drop_index(const std::filesystem::path &root);
/// Gives those that there were.
std::set<std::string> drop_images(const std::filesystem::path &root, const std::set<std::string> &names);

}  // namespace pipes::oci
