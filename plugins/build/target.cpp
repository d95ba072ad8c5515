#include "target.hpp"

#include <pipe/oci/archive.hpp>
#include <pipe/oci/naming.hpp>

#include <filesystem>
#include <vector>

namespace build_step {
namespace {

using pipes::sdk::Error;
using Kind = oci::ImageName::Kind;
namespace fs = std::filesystem;

/// Under the name: with other settings the same step may make another image.
std::string made_key(const oci::ImageName &name) {
  return "made " + name.str();
}

}  // namespace

Target::Target(const std::optional<std::string> &as, const std::optional<std::string> &to) {
  if (as.has_value() == to.has_value())
    throw Error(PIPE_E_INVALID, as ? "`as` and `to` are both given" : "neither `as` nor `to` is given",
                "`as` names the image in the store, `to` writes it to oci-archive:, docker-archive: or oci:");
  name_ = oci::ImageName::parse(as ? oci::store_name(*as) : *to);
  if (to && (name_.kind == Kind::registry || name_.kind == Kind::docker_daemon))
    throw Error(PIPE_E_INVALID, "`to` is " + *to + ", which is neither a file nor a folder",
                "use `as` to name the image, and push to send it somewhere");
}

std::optional<oci::Descriptor> Target::now(const oci::Store &store) const {
  return name_.kind == Kind::registry ? store.resolve(name_.str()) : oci::peek(name_);
}

void Target::put(pipes::sdk::Run &run, oci::Store &store, const oci::Descriptor &image) const {
  if (name_.kind == Kind::registry) {
    oci::NameChange change{store.resolve(name_.str()), image};
    if (const std::optional<std::string> earlier = run.recall(made_key(name_)))
      if (const std::optional<oci::NameChange> known = oci::NameChange::parse(*earlier))
        change.before = known->before;
    run.remember(made_key(name_), change.str());
    return store.tag(name_.str(), image);
  }
  std::error_code error;
  if (!fs::exists(name_.path, error)) run.remember(made_key(name_), image.digest.str());
  if (name_.kind == Kind::oci_archive) return oci::export_oci_archive(store, image, name_.ref, name_.path);
  if (name_.kind == Kind::oci_layout) return oci::export_layout(store, image, name_.ref, name_.path);
  std::vector<std::string> names;
  if (!name_.ref.empty()) names.push_back(name_.ref);
  oci::export_docker_archive(store, image, names, name_.path);
}

bool Target::take_back(pipes::sdk::Run &run) const {
  const std::optional<std::string> made = run.recall(made_key(name_));
  if (!made) return false;
  run.forget(made_key(name_));
  if (name_.kind == Kind::registry) {
    oci::Store store(oci::Store::default_path());
    const std::optional<oci::NameChange> change = oci::NameChange::parse(*made);
    return change && change->take_back(name_.str(), store);
  }
  if (name_.kind == Kind::oci_layout && !name_.ref.empty()) {
    oci::Store layout(name_.path);
    if (const std::optional<oci::Descriptor> image = layout.resolve(name_.ref);
        image && image->digest.str() == *made)
      layout.untag(name_.ref);
  }
  return remove_if_ours(*made);
}

bool Target::remove_if_ours(const std::string &digest) const {
  oci::ImageName all = name_;
  all.ref.clear();
  std::error_code error;
  try {
    const std::optional<oci::Descriptor> left = oci::peek(all);
    if (left && left->digest.str() != digest) return false;
  } catch (const Error &) {
    return false;  // several images are there by now
  }
  return fs::remove_all(name_.path, error) > 0 && !error;
}

}  // namespace build_step
