#include "origin.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <pipe/engine/engine.hpp>

#include <cerrno>
#include <cstring>

namespace pull {
namespace {

constexpr const char *kSource = "pipe.source.name";
constexpr const char *kState = "pipe.source.state";
constexpr const char *kPlatform = "pipe.source.platform";

std::string annotation(const oci::Descriptor &descriptor, const char *key) {
  const auto found = descriptor.annotations.find(key);
  return found == descriptor.annotations.end() ? std::string() : found->second;
}

std::string state_of_file(const std::string &path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw pipes::sdk::Error(PIPE_E_NOT_FOUND, fmt::format("can't read {}: {}", path, std::strerror(errno)),
                            "check the path");
  return fmt::format("{}.{:09}:{}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size);
}

}  // namespace

Origin Origin::of(const oci::Descriptor &stored) {
  return {.source = annotation(stored, kSource),
          .state = annotation(stored, kState),
          .platform = annotation(stored, kPlatform)};
}

void Origin::write_to(oci::Descriptor &image) const {
  image.annotations = {{kSource, source}, {kState, state}};
  if (!platform.empty()) image.annotations[kPlatform] = platform;
}

std::string state_of(const oci::ImageName &source, const oci::RegistryOptions &options,
                     const std::string &engine, pipes::sdk::Observer &observer) {
  using Kind = oci::ImageName::Kind;
  switch (source.kind) {
    case Kind::registry:
      return oci::resolve(source.reference, options, observer).root.digest.str();
    case Kind::oci_layout:
      return state_of_file(source.path + "/index.json");
    case Kind::oci_archive:
    case Kind::docker_archive:
      return state_of_file(source.path);
    case Kind::docker_daemon:
      break;
  }
  pipes::engine::Engine there = pipes::engine::Engine::connect(engine, observer);
  const auto image = there.image(source.reference.str());
  if (!image)
    throw pipes::sdk::Error(
        PIPE_E_NOT_FOUND,
        fmt::format("{} has no image {}", there.version().endpoint, source.reference.familiar()),
        "build or pull it there first, or check the name");
  return image->id;
}

}  // namespace pull
