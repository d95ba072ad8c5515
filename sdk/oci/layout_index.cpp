#include "layout_index.hpp"

#include <pipe/error.hpp>

#include <fmt/core.h>

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

Json read_index(int fd, const fs::path &path) {
  return parse_index(read_file(fd, path, kMaxIndex), path.string());
}

Json load_index(const fs::path &root) {
  const fs::path path = root / "index.json";
  const UniqueFd fd = open_regular(path);
  if (!fd) throw_io("read", path, ENOENT);
  return read_index(fd.get(), path);
}

std::vector<StoredImage> load_images(const fs::path &root) {
  std::vector<StoredImage> images;
  const Json index = load_index(root);
  for (const Json &entry : index["manifests"])
    images.push_back(read_entry(entry, (root / "index.json").string()));
  return images;
}

void set_images(const fs::path &root, const NamedImages &images) {
  const FileLock lock(root / kLayoutLock);
  Json index = load_index(root);
  std::map<std::string, Json> missing;
  for (const auto &[name, image] : images) missing.emplace(name, write_entry({name, image}));
  Json kept = Json::array();
  bool changed = false;
  for (Json &entry : index["manifests"]) {
    const std::string name = entry_name(entry);
    if (!images.contains(name)) {
      kept.push_back(std::move(entry));
    } else if (const auto wanted = missing.find(name); wanted != missing.end() && wanted->second == entry) {
      kept.push_back(std::move(entry));
      missing.erase(wanted);
    } else {
      changed = true;
    }
  }
  for (auto &[name, entry] : missing) kept.push_back(std::move(entry));
  if (!changed && missing.empty()) return;
  index["manifests"] = std::move(kept);
  save_index(root, index);
}

void drop_index(const fs::path &root) {
  const FileLock lock(root / kLayoutLock);
  const fs::path index = root / "index.json", broken = root / "index.json.broken";
  if (rename(index.c_str(), broken.c_str()) != 0 && errno != ENOENT) throw_io("move", index, errno);
  replace_file(index, kEmptyIndex);
}

std::set<std::string> drop_images(const fs::path &root, const std::set<std::string> &names) {
  const FileLock lock(root / kLayoutLock);
  Json index = load_index(root);
  std::set<std::string> dropped;
  Json kept = Json::array();
  for (Json &entry : index["manifests"]) {
    std::string name = entry_name(entry);
    if (!name.empty() && names.contains(name))
      dropped.insert(std::move(name));
    else
      kept.push_back(std::move(entry));
  }
  if (dropped.empty()) return dropped;
  index["manifests"] = std::move(kept);
  save_index(root, index);
  return dropped;
}

}  // namespace pipes::oci
