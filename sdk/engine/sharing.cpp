#include <pipe/engine/sharing.hpp>

#include <algorithm>
#include <filesystem>

namespace pipes::engine {
namespace {

bool is_within(const std::string &path, const std::string &folder) {
  return path == folder || path.starts_with(folder + "/");
}

bool overlap(const Mount &a, const Mount &b) {
  return a.type == b.type && (is_within(a.source, b.source) || is_within(b.source, a.source));
}

/// A socket or a single file is no storage.
bool is_storage(const Mount &mount) {
  std::error_code error;
  return mount.type == "volume" || std::filesystem::is_directory(mount.source, error);
}

}  // namespace

std::vector<Container> containers_with(Engine &engine, const Mount &data) {
  std::vector<Container> found;
  for (const Container &listed : engine.containers()) {
    auto container = engine.container(listed.name);
    if (container &&
        std::ranges::any_of(container->spec.mounts, [&](const Mount &mount) { return overlap(mount, data); }))
      found.push_back(*std::move(container));
  }
  return found;
}

std::vector<std::string> writers_beside(Engine &engine, const std::string &name, const Mount &data) {
  std::vector<std::string> names;
  if (data.read_only || !is_storage(data)) return names;
  const auto writes = [&](const Mount &mount) {
    return overlap(mount, data) && mount.target == data.target && !mount.read_only;
  };
  for (const Container &container : containers_with(engine, data))
    if (container.name != name && container.state == "running" &&
        std::ranges::any_of(container.spec.mounts, writes))
      names.push_back(container.name);
  return names;
}

}  // namespace pipes::engine
