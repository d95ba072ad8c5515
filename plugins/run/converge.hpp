#pragma once
// Brings a container to what is wanted, in steps of which each may be the last one before a kill: the next
// run finds out where it was and goes on.
#include <pipe/engine/host.hpp>
#include <pipe/engine/spec.hpp>

#include "wanted.hpp"

namespace run_step {

enum class Action { nothing, start, create, replace };

struct Decision {
  Action action = Action::nothing;
  std::vector<engine::Difference> differences;
  std::string reason;  // for people, where there is no difference to show
};

struct Job {
  sdk::Run &run;
  engine::Engine &engine;
  const Params &params;
  engine::ContainerSpec spec;  // without image and labels of ours
  ImageSource image;
};

/// The name that a container has while the one that takes its place is not ready yet.
std::string aside_name(const std::string &name);

/// Under which the step remembers the token of that container: with other settings it may run another.
std::string token_key(const std::string &name);

/// What has to be done; changes nothing. `image_known` false: the image is not there yet (`plan`).
Decision decide(Job &, const std::optional<engine::Container> &current);

/// Does it, and returns the container, ready. Throws what stands in the way; after a failed replacement the
/// earlier container runs again.
engine::Container carry_out(Job &, const Decision &, const std::optional<engine::Container> &current);

/// Finishes or takes back what a killed run left half done; returns the container there is then.
std::optional<engine::Container> settle(Job &);

}  // namespace run_step
