#include "undo.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace push {
namespace {

namespace oci = pipes::oci;
using pipes::sdk::Error;
using pipes::sdk::Run;
using pipes::sdk::Verdict;

/// Deleting by digest takes every tag along that points to it.
bool has_other_tag(oci::Registry &registry, const oci::Reference &name, const oci::Digest &digest) {
  return std::ranges::any_of(registry.tags(name.repository), [&](const std::string &tag) {
    if (tag == name.tag) return false;
    const auto there = registry.head_manifest(name.repository, tag);
    return there && there->digest == digest;
  });
}

void remove(Run &run, oci::Registry &registry, const oci::Reference &name, const oci::Digest &digest) {
  if (!name.tag.empty()) {
    try {
      registry.delete_manifest(name.repository, name.tag);
      return run.verdict(Verdict::remove, name.str() + " deleted");
    } catch (const Error &error) {  // Distribution 2 deletes no tags
      if (error.status != PIPE_E_DENIED && error.status != PIPE_E_INVALID) throw;
    }
    if (has_other_tag(registry, name, digest))
      return run.warn(fmt::format(
          "{} stays: another tag has the same image, and this registry would delete both", name.str()));
  }
  registry.delete_manifest(name.repository, digest.str());
  run.verdict(Verdict::remove, name.str() + " deleted");
}

}  // namespace

void remember(Run &run, const Pushed &pushed) {
  // Pushed again: what was there before the first time counts.
  const std::optional<Pushed> earlier = recall(run, pushed.name);
  run.remember("before " + pushed.name, earlier ? earlier->before : pushed.before);
  run.remember("digest " + pushed.name, pushed.digest);
}

std::optional<Pushed> recall(const Run &run, const std::string &name) {
  const std::optional<std::string> digest = run.recall("digest " + name);
  if (!digest) return std::nullopt;
  return Pushed{name, run.recall("before " + name).value_or(std::string()), *digest};
}

void forget(Run &run, const std::string &name) {
  for (const char *key : {"before ", "digest "}) run.forget(key + name);
}

void take_back(Run &run, const Pushed &pushed, const oci::RegistryOptions &options) {
  const oci::Reference name = oci::Reference::parse(pushed.name);
  oci::Registry registry(name.registry, options, run);
  registry.expect_push(name.repository);
  const auto there = registry.head_manifest(name.repository, name.identifier());
  if (!there) return;
  if (there->digest.str() != pushed.digest)
    return run.warn(fmt::format("{} is left alone: it has been pushed by someone else since", name.str()));
  try {
    if (pushed.before.empty()) return remove(run, registry, name, there->digest);
    registry.put_manifest(name.repository, name.tag, registry.manifest(name.repository, pushed.before));
    run.verdict(Verdict::change,
                fmt::format("{} is {} again", name.str(), oci::Digest::parse(pushed.before).brief()));
  } catch (const Error &error) {
    if (error.status != PIPE_E_DENIED && error.status != PIPE_E_NOT_FOUND) throw;
    run.warn(fmt::format("{} stays as it is: {}{}", name.str(), error.message,
                         error.hint.empty() ? "" : " (" + error.hint + ")"));
  }
}

}  // namespace push
