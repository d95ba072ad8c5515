#include "place.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>

namespace mirror {
namespace {

namespace oci = pipes::oci;
using pipes::sdk::Error;

constexpr std::string_view kLayout = "oci:";

/// A name without its tag.
oci::Reference without_tag(const std::string &name) {
  oci::Reference repository = oci::Reference::parse(name);
  repository.tag.clear();
  return repository;
}

}  // namespace

Place Place::parse(std::string_view text) {
  Place place;
  if (text.empty()) return place;
  if (text.starts_with(kLayout)) {
    place.kind = Kind::layout;
    place.folder = text.substr(kLayout.size());
    if (place.folder.empty() || place.folder.find(':') != std::string::npos)
      throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is no folder", text), "write oci:FOLDER");
    return place;
  }
  if (text.starts_with("oci-archive:") || text.starts_with("docker-"))
    throw Error(PIPE_E_INVALID, fmt::format("{} holds one image", text),
                "sync takes a registry or oci:FOLDER; a single image goes by copy");
  while (text.ends_with('/')) text.remove_suffix(1);
  place.kind = Kind::registry;
  place.text = text;
  const std::string repository = place.any().repository;
  place.prefix = repository.substr(0, repository.size() - kAny.size());
  return place;
}

oci::Reference Place::repository(const std::string &name) const {
  return without_tag(kind == Kind::registry ? text + "/" + name : name);
}

std::string Place::host() const {
  return any().registry;
}

std::string Place::path_of(const oci::Reference &repository) const {
  if (kind != Kind::registry || !repository.repository.starts_with(prefix)) return repository.repository;
  return repository.repository.substr(prefix.size());
}

}  // namespace mirror
