#include <pipe/oci/pushed.hpp>

#include <fmt/core.h>
#include <pipe/http/client.hpp>
#include <pipe/oci/place.hpp>

#include <algorithm>

namespace pipes::oci {
namespace {

using sdk::Error;
using sdk::Run;
using sdk::Verdict;

/// Deleting by digest takes every tag along that points to it.
bool has_other_tag(Registry &registry, const Reference &name, const Digest &digest) {
  return std::ranges::any_of(registry.tags(name.repository), [&](const std::string &tag) {
    if (tag == name.tag) return false;
    const auto there = registry.head_manifest(name.repository, tag);
    return there && there->digest == digest;
  });
}

void remove(Run &run, Registry &registry, const Reference &name, const Digest &digest) {
  if (!name.tag.empty()) {
    if (delete_tag(registry, name.repository, name.tag))
      return run.verdict(Verdict::remove, name.str() + " deleted");
    if (has_other_tag(registry, name, digest))
      return run.warn(fmt::format(
          "{} stays: another tag has the same image, and this registry would delete both", name.str()));
  }
  registry.delete_manifest(name.repository, digest.str());
  run.verdict(Verdict::remove, name.str() + " deleted");
}

}  // namespace

void Pushed::remember(Run &run) const {
  const std::optional<Pushed> earlier = recall(run, name);
  run.remember("before " + name, earlier ? earlier->before : before);
  run.remember("digest " + name, digest);
}

std::optional<Pushed> Pushed::recall(const Run &run, const std::string &name) {
  const std::optional<std::string> digest = run.recall("digest " + name);
  if (!digest) return std::nullopt;
  return Pushed{name, run.recall("before " + name).value_or(std::string()), *digest};
}

void Pushed::forget(Run &run) const {
  for (const char *key : {"before ", "digest "}) run.forget(key + name);
}

bool Pushed::take_back(Run &run, const RegistryOptions &options) const {
  const auto [place, how] = place_of(Reference::parse(name), options);
  const bool on_this_machine = http::Origin::of("https://" + place.registry).loopback();
  Registry registry(place.registry, how, run);
  registry.expect_push(place.repository);
  std::optional<Descriptor> there;
  try {
    there = registry.head_manifest(place.repository, place.identifier());
  } catch (const Error &error) {
    // One elsewhere may answer later, or to a login. One of this machine that nothing runs any more, or that
    // others have put a password on since, would be in the way for ever.
    const bool is_gone = on_this_machine && dynamic_cast<const http::Unreachable *>(&error) != nullptr;
    if (!is_gone && error.status != PIPE_E_DENIED) throw;
    run.warn(fmt::format("{} stays in the registry's data, if that is kept: {}{}", place.str(), error.message,
                         is_gone || error.hint.empty() ? "" : " (" + error.hint + ")"));
    return on_this_machine;
  }
  if (!there) return true;
  if (there->digest.str() != digest) {
    run.warn(fmt::format("{} is left alone: it has been pushed by someone else since", place.str()));
    return true;
  }
  try {
    if (before.empty()) {
      remove(run, registry, place, there->digest);
    } else {
      registry.put_manifest(place.repository, place.tag, registry.manifest(place.repository, before));
      run.verdict(Verdict::change, fmt::format("{} is {} again", place.str(), Digest::parse(before).brief()));
    }
  } catch (const Error &error) {
    if (error.status != PIPE_E_DENIED && error.status != PIPE_E_NOT_FOUND) throw;
    run.warn(fmt::format("{} stays as it is: {}{}", place.str(), error.message,
                         error.hint.empty() ? "" : " (" + error.hint + ")"));
  }
  return true;
}

bool delete_tag(Registry &registry, const std::string &repository, const std::string &tag) {
  try {
    registry.delete_manifest(repository, tag);
    return true;
  } catch (const Error &error) {
    if (error.status != PIPE_E_DENIED && error.status != PIPE_E_INVALID) throw;
    return false;
  }
}

}  // namespace pipes::oci
