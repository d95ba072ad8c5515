#pragma once
// docker-archive as Docker wrote it before version 25: manifest.json, a config, unpacked layers. For .cpp
// files of this folder only.
#include <pipe/oci/archive.hpp>

#include "layout_source.hpp"

namespace pipes::oci {

/// An entry of manifest.json.
struct SavedImage {
  std::string config;  // a path in the archive
  std::vector<std::string> names, layers;
};
/// Reads manifest.json. Throws PIPE_E_INVALID; `where` names the archive.
std::vector<SavedImage> parse_saved_images(const std::string &manifest_json, const std::string &where);

/// Makes an image of an archive without an OCI layout in it; see import_archive. The config's bytes are
/// kept, so the image ID is, too; layers are compressed, unless it is remembered what
/// blobs they are, and checked against the config's diff_ids.
Imported import_old_docker_archive(const LayoutSource &source, std::string_view ref, Store &store);

}  // namespace pipes::oci
