#pragma once
// Pushes to a registry that a step made, so that it can take them back.
#include <pipe/oci/registry.hpp>
#include <pipe/run.hpp>

#include <optional>
#include <string>

namespace pipes::oci {

/// One of them: what has to be known of it. A step keeps it before it changes anything, under the name: with
/// other settings the same step may push elsewhere.
struct Pushed {
  std::string name;    // where to
  std::string before;  // the digest that the tag had; empty: there was no such tag
  std::string digest;  // what was pushed

  /// Of several pushes to one name, what was there before the first one counts.
  void remember(sdk::Run &) const;
  static std::optional<Pushed> recall(const sdk::Run &, const std::string &name);
  void forget(sdk::Run &) const;

  /// Gives the tag back to what it pointed at, or takes it away. Where the tag points at something else by
  /// now, or the registry does not delete or lets nobody in, it says so and leaves it. False: that may change
  /// with a login, so it must not be forgotten. Throws what Registry throws.
  bool take_back(sdk::Run &, const RegistryOptions &) const;
};

/// Deletes the tag and no other that points at the same manifest. False: this registry deletes manifests
/// only, with all their tags (Distribution 2), or nothing at all.
bool delete_tag(Registry &, const std::string &repository, const std::string &tag);

}  // namespace pipes::oci
