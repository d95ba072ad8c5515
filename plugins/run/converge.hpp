#pragma once
// What has to be done to bring a container to what is wanted, and the doing of it.
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
  const engine::Endpoint &endpoint;  // where that is
  const Params &params;
  engine::ContainerSpec spec;  // without image and labels of ours
  ImageSource image;
};

/// Under which the step remembers the token of that container: with other settings it may run another.
std::string token_key(const std::string &name);
/// Takes the images out of the engine that it got for that container and that nothing else uses.
void take_images_back(sdk::Run &, engine::Engine &, const std::string &container);

/// What has to be done; changes nothing. `image_known` false: the image is not there yet (`plan`).
Decision decide(Job &, const std::optional<engine::Container> &current);

/// Does it, and returns the container, ready. Throws what stands in the way; after a failed replacement the
/// earlier container runs again.
engine::Container carry_out(Job &, const Decision &, const std::optional<engine::Container> &current);

/// Whether it serves, or is about to.
bool is_running(const engine::Container &);
/// Made, and never started: often what "port is already allocated" leaves. Started later, it may come up
/// without its ports.
bool never_started(const engine::Container &);

}  // namespace run_step
