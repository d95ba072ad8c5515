#include "converge.hpp"

#include <fmt/core.h>
#include <pipe/oci/reference.hpp>

#include <algorithm>
#include <sstream>

#include "preflight.hpp"
#include "readiness.hpp"
#include "replacement.hpp"

namespace run_step {

namespace {

/// Under which it is remembered which names of images the engine has for that container only: a line each.
std::string given_key(const std::string &container) {
  return "images for " + container;
}

void give_image(Job &job) {
  const std::string &name = job.image.name, key = given_key(job.spec.name);
  if (!job.engine.image(name)) {
    const std::string before = job.run.recall(key).value_or("");
    if (("\n" + before).find("\n" + name + "\n") == std::string::npos)
      job.run.remember(key, before + name + "\n");
  }
  engine::give(job.engine, *job.image.store, *job.image.stored, name, job.run);
}

/// Sees to image and mounts: all that can fail before the engine's containers are touched.
void prepare(Job &job) {
  const bool in_registry = oci::ImageName::parse(job.params.image).kind == oci::ImageName::Kind::registry;
  if (!job.image.stored && !id_in_engine(job.image, job.engine)) {
    if (job.params.pull == "never" || !in_registry)
      throw sdk::Error(
          PIPE_E_NOT_FOUND,
          fmt::format("the image {} is neither in the store nor in the engine", job.params.image),
          "put a `pull` step before this one, or set `pull` to missing");
    job.image = fetch_image(job.params.image, job.run);
  }
  if (job.image.stored) give_image(job);
  make_mounts(job.run, job.engine, job.spec);
  make_networks(job.run, job.engine, job.spec);
}

}  // namespace

std::string token_key(const std::string &name) {
  return "container " + name;
}

void take_images_back(sdk::Run &run, engine::Engine &engine, const std::string &container) {
  const auto given = run.recall(given_key(container));
  if (!given) return;
  std::istringstream names(*given);
  for (std::string name; std::getline(names, name);) {
    try {
      if (!engine.image(name)) continue;
      engine.remove_image(name);
      run.info(fmt::format("removed the image {} from the engine", name));
    } catch (const sdk::Error &error) {
      if (error.status == PIPE_E_CANCELLED) throw;
      run.warn(fmt::format("{} stays in the engine: {}", name, error.message));
    }
  }
  run.forget(given_key(container));
}

bool is_running(const engine::Container &container) {
  return container.state == "running" || container.state == "restarting";
}

bool never_started(const engine::Container &container) {
  return container.state == "created" || container.state == "configured" || container.state == "initialized";
}

Decision decide(Job &job, const std::optional<engine::Container> &current) {
  Decision decision;
  if (!current) {
    decision.action = Action::create;
    return decision;
  }
  decision.differences = engine::differences(job.spec, *current);
  const auto secrets = engine::secret_differences(secrets_of(job.params), *current);
  decision.differences.insert(decision.differences.end(), secrets.begin(), secrets.end());
  std::string image_id;
  if (job.image.manifest) {
    if (!engine::is_image(current->image_id, *job.image.manifest))
      image_id = job.image.manifest->config ? job.image.manifest->config->digest.str()
                                            : job.image.manifest->digest.str();
  } else if (auto own = id_in_engine(job.image, job.engine); own && *own != current->image_id) {
    image_id = *own;
  }
  if (!image_id.empty())
    decision.differences.insert(decision.differences.begin(),
                                {"image", current->image_id.substr(0, 19), image_id.substr(0, 19)});
  if (is_running(*current))
    for (const engine::PortBinding &port : engine::missing_ports(job.spec, *current))
      if (std::none_of(decision.differences.begin(), decision.differences.end(),
                       [](const auto &d) { return d.field == "ports"; }))
        decision.differences.push_back({"ports", "(not mapped)", engine::to_text(port)});

  if (job.params.recreate == "always") {
    decision.action = Action::replace;
    decision.reason = "`recreate` is always";
  } else if (!decision.differences.empty() && job.params.recreate != "never") {
    decision.action = Action::replace;
  } else if (never_started(*current)) {
    decision.action = Action::replace;
    decision.reason = "it was made and never started";
  } else if (!is_running(*current)) {
    decision.action = Action::start;
    decision.reason = fmt::format("it is {}", current->state);
  }
  return decision;
}

engine::Container carry_out(Job &job, const Decision &decision,
                            const std::optional<engine::Container> &current) {
  if (decision.action == Action::nothing) return wait_until_ready(job, current->id);
  check_ports(job.engine, job.spec, current ? &*current : nullptr);
  if (decision.action == Action::start) {
    make_mounts(job.run, job.engine, job.spec);
    return start_and_wait(job, current->id);
  }
  prepare(job);
  return decision.action == Action::create ? make(job) : replace(job, *current);
}

}  // namespace run_step
