#include "layout_index.hpp"

#include <pipe/error.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "descriptor.hpp"
#include "file.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxIndex = 64u << 20;

void save_index(const fs::path &root, const Json &index) {
  // A name must not outlive what it leads to.
  for (const fs::directory_entry &folder : fs::directory_iterator(root / "blobs"))
    if (folder.is_directory()) sync_folder(folder.path());
  replace_file(root / "index.json", index.dump());
}

std::ptrdiff_t count_named(const Json &entries, std::string_view name) {
  return std::ranges::count_if(entries, [&](const Json &entry) { return entry_name(entry) == name; });
}

void drop_named(Json &entries, std::string_view name) {
  const auto named = [&](const Json &entry) { return entry_name(entry) == name; };
  entries.erase(std::remove_if(entries.begin(), entries.end(), named), entries.end());
}

}  // namespace

Json parse_index(std::string_view bytes, std::string_view where) {
  ParsedJson parsed = parse_json(bytes);
  std::string problem = std::move(parsed.problem);
  if (problem.empty()) {
    const auto list = parsed.value.is_object() ? parsed.value.find("manifests") : parsed.value.end();
    if (!parsed.value.is_object() || list == parsed.value.end() || !list->is_array())
      problem = "it has no list of manifests";
  }
  if (!problem.empty())
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("{} is no index of an OCI image layout: {}", where, problem));
  return std::move(parsed.value);
}

std::string entry_name(const Json &entry) {
  if (!entry.is_object()) return {};
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return {};
  return text_member(*annotations, kRefName).value_or("");
}

StoredImage read_entry(const Json &entry, std::string_view where) {
  try {
    StoredImage image{entry_name(entry), read_descriptor(entry)};
    image.descriptor.annotations.erase(std::string(kRefName));
    return image;
  } catch (const sdk::Error &error) {
    throw sdk::Error(PIPE_E_INVALID, fmt::format("an entry of {} is broken: {}", where, error.message));
  }
}

Json write_entry(const StoredImage &image) {
  Descriptor named = image.descriptor;
  if (!image.name.empty()) named.annotations[std::string(kRefName)] = image.name;
  return write_descriptor(named);
}

Json load_index(const fs::path &root) {
  const fs::path path = root / "index.json";
  const UniqueFd fd = open_regular(path);
  if (!fd) throw_io("read", path, ENOENT);
  return parse_index(read_file(fd.get(), path, kMaxIndex), path.string());
}

std::vector<StoredImage> load_images(const fs::path &root) {
  std::vector<StoredImage> images;
  const Json index = load_index(root);
  for (const Json &entry : index["manifests"])
    images.push_back(read_entry(entry, (root / "index.json").string()));
  return images;
}

void set_image(const fs::path &root, const StoredImage &image) {
  const FileLock lock(root / kLayoutLock);
  Json index = load_index(root);
  Json &entries = index["manifests"];
  Json wanted = write_entry(image);
  if (std::ranges::count(entries, wanted) == 1 && count_named(entries, image.name) == 1) return;
  drop_named(entries, image.name);
  entries.push_back(std::move(wanted));
  save_index(root, index);
}

void drop_index(const fs::path &root) {
  const FileLock lock(root / kLayoutLock);
  const fs::path index = root / "index.json", broken = root / "index.json.broken";
  if (rename(index.c_str(), broken.c_str()) != 0 && errno != ENOENT) throw_io("move", index, errno);
  replace_file(index, kEmptyIndex);
}

bool drop_image(const fs::path &root, std::string_view name) {
  const FileLock lock(root / kLayoutLock);
  Json index = load_index(root);
  if (name.empty() || count_named(index["manifests"], name) == 0) return false;
  drop_named(index["manifests"], name);
  save_index(root, index);
  return true;
}

}  // namespace pipes::oci
