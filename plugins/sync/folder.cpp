#include "folder.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/attached.hpp>
#include <pipe/oci/store.hpp>

#include <algorithm>
#include <filesystem>
#include <set>

namespace mirror {

namespace oci = pipes::oci;
using pipes::sdk::Error;

bool Folder::exists(const std::string &path) {
  return std::filesystem::exists(std::filesystem::path(path) / "oci-layout");
}

Folder::Folder(const std::string &path) : path_(path) {
  if (!exists(path))
    throw Error(PIPE_E_NOT_FOUND, fmt::format("{} is no folder with images (an OCI layout)", path),
                "check the path; sync to oci:FOLDER makes one");
  for (const oci::StoredImage &image : oci::Store(path).list()) {
    // What belongs to an image comes along with it.
    if (image.name.empty() || oci::is_attached_tag(image.name) || oci::is_list_name(image.name)) continue;
    try {
      const oci::Reference name = oci::Reference::parse(image.name);
      images_.try_emplace(name.str(), name, image.name);
    } catch (const Error &) {
      continue;  // a name that no registry could have
    }
  }
}

std::vector<std::string> Folder::tags(const oci::Reference &repository) const {
  std::vector<std::string> tags;
  for (const auto &[full, image] : images_)
    if (image.first.name() == repository.name() && !image.first.digest) tags.push_back(image.first.tag);
  return tags;
}

std::vector<std::string> Folder::repositories() const {
  std::set<std::string> names;
  for (const auto &[full, image] : images_)
    if (!image.first.digest) names.insert(image.first.name());
  return {names.begin(), names.end()};
}

std::vector<Rule> Folder::everything() const {
  std::vector<Rule> rules;
  for (const std::string &name : repositories()) rules.push_back(Rule::parse(name + ":*"));
  for (const auto &[full, image] : images_)
    if (image.first.digest) rules.push_back(Rule::parse(full));
  return rules;
}

std::vector<oci::Reference> Folder::images() const {
  std::vector<oci::Reference> all;
  for (const auto &[full, image] : images_) all.push_back(image.first);
  return all;
}

oci::ImageName Folder::name_of(const oci::Reference &image) const {
  const auto found = images_.find(image.str());
  if (found == images_.end())
    throw Error(PIPE_E_NOT_FOUND, fmt::format("{} has no image {}", path_, image.familiar()),
                "check repository and tag");
  return {
      .kind = oci::ImageName::Kind::oci_layout, .reference = {}, .path = path_, .ref = found->second.second};
}

}  // namespace mirror
