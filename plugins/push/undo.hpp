#pragma once
// Takes a push to a registry back.
#include <pipe/oci/registry.hpp>
#include <pipe/run.hpp>

#include <optional>
#include <string>

namespace push {

/// What has to be known for that; kept by `run` before it changes anything.
struct Pushed {
  std::string name;    // where to
  std::string before;  // the digest that the tag had; empty: there was no such tag
  std::string digest;  // what was pushed
};
/// All under the name: with other settings the same step may push elsewhere.
void remember(pipes::sdk::Run &, const Pushed &);
std::optional<Pushed> recall(const pipes::sdk::Run &, const std::string &name);
void forget(pipes::sdk::Run &, const std::string &name);

/// Gives the tag back to what it pointed at, or takes it away. Where the tag points at something else by
/// now, or the registry does not delete, it says so and leaves it.
void take_back(pipes::sdk::Run &, const Pushed &, const pipes::oci::RegistryOptions &);

}  // namespace push
