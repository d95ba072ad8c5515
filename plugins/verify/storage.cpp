#include "check.hpp"

#include <pipe/engine/engine.hpp>
#include <pipe/text.hpp>

#include <fmt/core.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace verify {
namespace {

namespace engine = pipes::engine;

constexpr std::string_view kRegistryData = "/var/lib/registry";

[[noreturn]] void refuse(const std::string &what, const std::string &remedy) {
  throw sdk::Error(PIPE_E_INVALID, what, remedy);
}

/// The mount that holds the images: the one at the usual place, else the only one that is written to.
const engine::Mount &data_mount(const engine::Container &container) {
  const auto &mounts = container.spec.mounts;
  const auto usual = std::ranges::find(mounts, kRegistryData, &engine::Mount::target);
  if (usual != mounts.end()) return *usual;
  const auto written = [](const engine::Mount &mount) { return !mount.read_only; };
  if (std::ranges::count_if(mounts, written) != 1)
    refuse(fmt::format("{} mounts nothing at {}", container.name, kRegistryData),
           "name its folder or volume with `data`; if it has none, its images go with the container");
  return *std::ranges::find_if(mounts, written);
}

/// The folder on this machine.
std::string folder_of(std::string data, const std::string &container_name, const std::string &engine_name,
                      sdk::Observer &observer) {
  if (data.starts_with('/')) return data;
  auto engine = engine::Engine::connect(engine_name, observer);
  if (!engine.on_this_machine())
    refuse("the engine is on another machine, and so is its disk", "check `storage` there");
  if (data.empty()) {
    const auto container = engine.container(container_name);
    if (!container)
      refuse(fmt::format("there is no container {}", container_name), "run the step that makes it");
    data = data_mount(*container).source;
    if (data.starts_with('/')) return data;
  }
  const auto path = engine.volume_path(data);
  if (!path)
    refuse(fmt::format("there is no volume {}", data), "name the one that the registry's container mounts");
  return *path;
}

}  // namespace

Result check_storage(const std::string &data, const std::string &container, const std::string &engine_name,
                     std::uint64_t min_free, sdk::Observer &observer) {
  Result result{.check = "storage",
                .asked = fmt::format("free space of {}", data.empty() ? container : data)};
  try {
    const std::string folder = folder_of(data, container, engine_name, observer);
    result.asked = fmt::format("free space of {}", folder);
    struct statvfs info {};
    if (::statvfs(folder.c_str(), &info) != 0) {
      result.came = std::generic_category().message(errno);
      result.status = PIPE_E_IO;
      result.cause = errno == EACCES ? "the engine's folders are root's" : "the folder can't be looked at";
      result.remedy = errno == EACCES ? "run this as root" : "name the folder or volume with `data`";
      return result;
    }
    const std::uint64_t free = std::uint64_t{info.f_bavail} * info.f_frsize;
    result.came = fmt::format("{} free", sdk::bytes_text(free));
    const bool few_files = info.f_files > 0 && info.f_favail < info.f_files / 100;
    if (free >= min_free && !few_files) return result;
    result.status = PIPE_E_MISMATCH;
    if (free < min_free) {
      result.cause = fmt::format(
          "less than the {} that are asked for: a full disk fails pushes with 500, and a "
          "registry's own health check does not see it",
          sdk::bytes_text(min_free));
    } else {
      result.came += fmt::format(", room for {} more files", info.f_favail);
      result.cause = "nearly all of the file system's inodes are taken";
    }
    result.remedy = "delete images that nobody needs and collect garbage, or move the data to a larger disk";
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    result.came = error.message;
    result.status = error.status;
    result.remedy = error.hint;
  }
  return result;
}

}  // namespace verify
