// run: a container that is there, as it was asked for, and answering.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <pipe/engine/local.hpp>
#include <pipe/engine/sharing.hpp>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "converge.hpp"
#include "preflight.hpp"
#include "replacement.hpp"

namespace {

using namespace run_step;
using sdk::field;
using sdk::Run;
using sdk::Verdict;

struct Outputs {
  std::string id, name, address, engine;
};

constexpr sdk::Schema kRun{
    "run", "0.1.0", "Run a container, and wait until it is ready",
    std::tuple{
        field("image", &Params::image,
              {.help = "Image to run: of the store (the engine is given it), else the engine's own",
               .format = "image"}),
        field("name", &Params::name,
              {.help = "Name of the container; what has this name is brought to what is asked for",
               .pattern = "[a-zA-Z0-9][a-zA-Z0-9_.-]+"}),
        field("ports", &Params::ports,
              {.help = "Ports to publish, as for `docker run -p`: [ADDRESS:][HOST_PORT:]PORT[/udp]",
               .fallback = "[]",
               .examples = "127.0.0.1:5000:5000"}),
        field("volumes", &Params::volumes,
              {.help = "NAME:/path (a named volume) or /host/path:/path, with :ro at the end where it is "
                       "only read. "
                       "A missing host folder is made and given to `user`",
               .fallback = "[]",
               .examples = "data:/var/lib/registry\n/srv/registry:/var/lib/registry"}),
        field("env", &Params::env, {.help = "Environment variables; secrets may go here", .fallback = "{}"}),
        field("env_file", &Params::env_file,
              {.help = "Files of NAME=value lines; `env` goes before them", .fallback = "[]"}),
        field("user", &Params::user,
              {.help = "uid[:gid] or a user of the image; `self` is the caller; empty is the image's own",
               .fallback = "\"\"",
               .examples = "1000:1000\nself"}),
        field("restart", &Params::restart,
              {.help = "When the engine starts it again; without it, never",
               .pattern = "no|always|unless-stopped|on-failure(:[0-9]+)?",
               .examples = "always\non-failure:5"}),
        field("command", &Params::command, {.help = "Arguments, instead of the image's own"}),
        field("entrypoint", &Params::entrypoint, {.help = "Program, instead of the image's own"}),
        field("network", &Params::network,
              {.help = "Network to join; empty is the engine's default", .fallback = "\"\""}),
        field(
            "networks", &Params::networks,
            {.help = "Networks to join besides: NAME, or NAME:ALIAS,ALIAS to be found there by other names. "
                     "A missing one is made",
             .fallback = "[]",
             .examples = "lan\nlan:registry,images"}),
        field("secrets", &Params::secrets,
              {.help = "Files to mount, read-only: NAME (in /run/secrets) or /a/path -> value; readable by "
                       "`user` only, and never shown by the engine",
               .fallback = "{}"}),
        field("health", &Params::health,
              {.help =
                   "Health check: command (of the container's shell; none turns off the image's), interval, "
                   "timeout, start_period, retries",
               .fallback = "{}"}),
        field("memory", &Params::memory,
              {.help = "Memory at most; 0: any", .min = 0, .fallback = "0", .examples = "512MiB"}),
        field("cpus", &Params::cpus,
              {.help = "CPUs at most; 0: all", .min = 0, .fallback = "0", .examples = "1.5"}),
        field("pids", &Params::pids,
              {.help = "Processes at most; 0: the engine's default", .min = 0, .fallback = "0"}),
        field("read_only", &Params::read_only,
              {.help = "Let the container write to its volumes and `tmpfs` only", .fallback = "false"}),
        field("tmpfs", &Params::tmpfs,
              {.help = "Folders in memory: /path or /path:options",
               .fallback = "[]",
               .examples = "/tmp:size=64m"}),
        field("cap_add", &Params::cap_add, {.help = "Capabilities to give", .fallback = "[]"}),
        field("cap_drop", &Params::cap_drop,
              {.help = "Capabilities to take away", .fallback = "[]", .examples = "ALL"}),
        field("security_opt", &Params::security_opt,
              {.help = "Security options, as for `docker run`",
               .fallback = "[]",
               .examples = "no-new-privileges"}),
        field("ulimits", &Params::ulimits,
              {.help = "Limits of its processes: a number or soft:hard",
               .fallback = "{}",
               .examples = "nofile=65536"}),
        field("sysctls", &Params::sysctls, {.help = "Kernel parameters of its namespaces", .fallback = "{}"}),
        field("log", &Params::log,
              {.help = "Where its output goes: driver, and that driver's options",
               .fallback = "{}",
               .examples = "max-size=10m\nmax-file=3"}),
        field("hostname", &Params::hostname,
              {.help = "Its own host name; empty: the start of its ID", .fallback = "\"\""}),
        field("extra_hosts", &Params::extra_hosts,
              {.help = "Lines for its /etc/hosts: NAME:ADDRESS",
               .fallback = "[]",
               .examples = "host.docker.internal:host-gateway"}),
        field("devices", &Params::devices, {.help = "Devices: /dev/x, or /dev/x:/dev/y", .fallback = "[]"}),
        field("init", &Params::init,
              {.help = "Let the engine's init reap its processes", .fallback = "false"}),
        field("stop_timeout", &Params::stop_timeout,
              {.help = "How long it is given to end; 0: as long as the engine gives (10 s)",
               .min = 0,
               .fallback = "\"0s\""}),
        field("labels", &Params::labels, {.help = "Labels of the container", .fallback = "{}"}),
        field(
            "ready", &Params::ready,
            {.help = "What must answer before the step is done: a URL (2xx, 3xx or 401), tcp://host:port (a "
                     "connection stays open), `healthy` (its health check), `none`; by default the first "
                     "published tcp port (an HTTP "
                     "answer below "
                     "500 to /v2/, or words of another protocol), and without one, that it keeps running",
             .fallback = "\"\"",
             .examples = "http://127.0.0.1:5000/v2/\ntcp://127.0.0.1:6379\nnone"}),
        field("ready_timeout", &Params::ready_timeout,
              {.help = "How long to wait for that", .min = 0, .fallback = "\"60s\""}),
        field("recreate", &Params::recreate,
              {.help = "When a container of this name is replaced: if something that was asked for differs, "
                       "always, or "
                       "never",
               .fallback = "\"changed\"",
               .choices = "changed always never"}),
        field(
            "pull", &Params::pull,
            {.help = "Where the image comes from if neither store nor engine has it: missing fetches it from "
                     "its registry into the store; always asks the registry each time; never fails",
             .fallback = "\"missing\"",
             .choices = "missing always never"}),
        field(
            "engine", &Params::engine,
            {.help = "docker, podman, unix:///path or tcp://host:port; empty: DOCKER_HOST, the Docker "
                     "context, the "
                     "Docker socket, the Podman socket, else podman, started for as long as this step takes",
             .fallback = "\"\""})},
    std::tuple{
        field("id", &Outputs::id, {.help = "ID of the container"}),
        field("name", &Outputs::name, {.help = "Name of the container"}),
        field("address", &Outputs::address, {.help = "host:port of its first published port; may be empty"}),
        field("engine", &Outputs::engine,
              {.help = "The engine that has it, fit for the parameter `engine`"})}};

Job job_for(Run &run, engine::Engine &engine, const engine::Endpoint &endpoint, const Params &params,
            Purpose purpose) {
  return {run,
          engine,
          endpoint,
          params,
          container_spec(params, engine.version()),
          find_image(params.image, purpose)};
}

std::string engine_output(const Params &params, const engine::Version &version,
                          const engine::Endpoint &endpoint) {
  if (!params.engine.empty()) return params.engine;
  if (endpoint.on_demand() || endpoint.found_by == "the Podman socket") return "podman";
  return version.name == "docker" ? "docker" : endpoint.address;
}

const engine::PortBinding *first_port(const engine::Container &container) {
  for (const engine::PortBinding &port : container.bound_ports)
    if (port.container.ends_with("/tcp") && !port.host_port.empty()) return &port;
  return nullptr;
}

std::string address_of(const engine::Container &container, const engine::Version &version) {
  const engine::PortBinding *port = first_port(container);
  return port == nullptr ? "" : engine::reach(*port, version.host);
}

/// " at 127.0.0.1:5000", for people: where it is reached from elsewhere, too, that has to be seen.
std::string place_of(const engine::Container &container, const engine::Version &version) {
  const engine::PortBinding *port = first_port(container);
  if (port == nullptr) return {};
  return fmt::format(" at {}{}", engine::reach(*port, version.host),
                     any_address(port->host_ip) ? " and all other addresses" : "");
}

/// Names what differs; and says so where a container gives way that nobody can make again from its pipeline.
void report_differences(Job &job, const Decision &decision, const std::optional<engine::Container> &current) {
  for (const auto &[name, before, after] : decision.differences) job.run.diff(name, before, after);
  if (decision.action == Action::replace && !is_made_by_pipe(*current))
    job.run.warn(
        fmt::format("{} was made by someone else: another takes its place, and it is kept, stopped, as {}",
                    job.spec.name, kept_name(job.engine, job.spec.name)));
}

/// Two registries on one storage look well, until one of them deletes what the other believes to have.
void warn_of_sharing(Job &job, const Decision &decision) {
  if (decision.action == Action::nothing) return;
  for (const engine::Mount &mount : job.spec.mounts) {
    auto others = engine::writers_beside(job.engine, job.spec.name, mount);
    std::erase(others, aside_name(job.spec.name));
    if (others.empty()) continue;
    job.run.warn(fmt::format(
        "{} and {} both write to {} at {}: unless they are made for that, give {} a volume of its own",
        fmt::join(others, ", "), job.spec.name, mount.source, mount.target, job.spec.name));
  }
}

/// "image, ports, env.LOG"
std::string fields_of(const Decision &decision) {
  std::string text;
  for (const auto &difference : decision.differences)
    if (text.find(difference.field) == std::string::npos)
      text += (text.empty() ? "" : ", ") + difference.field;
  return text.empty() ? decision.reason : text;
}

void plan(Run &run, const Params &params) {
  const engine::Endpoint endpoint = engine::find_endpoint(params.engine, run);
  engine::Engine engine = engine::Engine::connect(endpoint, run);
  Job job = job_for(run, engine, endpoint, params, Purpose::look);
  auto current = engine.container(params.name);
  if (!current) current = engine.container(aside_name(params.name));
  Decision decision = decide(job, current);
  if (params.pull == "always" && decision.action != Action::create)
    if (const auto newer = newer_in_registry(params.image, job.image, run)) {
      decision.action = Action::replace;
      decision.differences.insert(decision.differences.begin(),
                                  {"image", current->image_id.substr(0, 19), newer->substr(0, 19)});
    }
  report_differences(job, decision, current);
  warn_of_sharing(job, decision);
  switch (decision.action) {
    case Action::nothing:
      run.verdict(Verdict::up_to_date, fmt::format("{} is {}", params.name, current->state));
      break;
    case Action::start:
      run.verdict(Verdict::change, fmt::format("start {}, as {}", params.name, decision.reason));
      break;
    case Action::create:
      run.verdict(Verdict::create, fmt::format("create {}", params.name));
      break;
    case Action::replace:
      run.verdict(Verdict::replace, fmt::format("replace {}: {}", params.name, fields_of(decision)));
      break;
  }
  run.output("name", params.name);
  run.output("engine", engine_output(params, engine.version(), endpoint));
  if (decision.action != Action::nothing) return;
  run.output("id", current->id);
  run.output("address", address_of(*current, engine.version()));
}

void run(Run &run, const Params &params) {
  const engine::Endpoint endpoint = engine::find_endpoint(params.engine, run);
  engine::Engine engine = engine::Engine::connect(endpoint, run);
  Job job = job_for(run, engine, endpoint, params, Purpose::use);
  const engine::ContainerLock lock(params.name, run);
  if (params.pull == "always" && newer_in_registry(params.image, job.image, run))
    job.image = fetch_image(params.image, run);
  auto current = settle(job);
  Decision decision = decide(job, current);
  if (current && current->seen_earlier) {
    const auto ready = engine::Ready::parse(params.ready, current->bound_ports, engine.version().host);
    if (decision.action != Action::nothing || !engine::ask(ready, run).ready) {
      engine.lose_sight(params.name);
      current = settle(job);
      decision = decide(job, current);
    }
  }
  report_differences(job, decision, current);
  warn_of_sharing(job, decision);
  const engine::Container container = carry_out(job, decision, current);
  engine::remove_stale_secrets(engine, params.name, container.spec.mounts);
  engine.keep_in_sight(container);

  const std::string at = place_of(container, engine.version());
  switch (decision.action) {
    case Action::nothing:
      if (!decision.differences.empty())
        run.warn(fmt::format("{} differs ({}) and is left as it is, as `recreate` is never", params.name,
                             fields_of(decision)));
      run.verdict(Verdict::up_to_date, fmt::format("{} is running{}", params.name, at));
      break;
    case Action::start:
      run.verdict(Verdict::change, fmt::format("started {}{}", params.name, at));
      break;
    case Action::create:
      run.verdict(Verdict::create, fmt::format("{} is running{}", params.name, at));
      break;
    case Action::replace:
      run.verdict(Verdict::replace, fmt::format("replaced {}{} ({})", params.name, at, fields_of(decision)));
      break;
  }
  run.output("id", container.id);
  run.output("name", params.name);
  run.output("address", address_of(container, engine.version()));
  run.output("engine", engine_output(params, engine.version(), endpoint));
}

/// Data that `run` made: only when asked for, and only once no container uses it. Gives what is gone.
std::vector<std::string> remove_data(Run &run, engine::Engine &engine, const engine::ContainerSpec &spec) {
  std::vector<std::string> removed;
  for (const engine::Mount &mount : spec.mounts) {
    const auto made = run.recall(mount_key(mount));
    if (!made) continue;
    if (const auto users = engine::containers_with(engine, mount); !users.empty()) {
      run.warn(fmt::format("{} stays, as the container {} uses it", mount.source, users.front().name));
      continue;
    }
    if (*made == "volume") {
      engine.remove_volume(mount.source);
    } else {
      std::error_code error;
      std::filesystem::remove_all(mount.source, error);
      if (error)
        throw sdk::Error(PIPE_E_IO, fmt::format("can't remove {}: {}", mount.source, error.message()));
    }
    run.forget(mount_key(mount));
    run.info(fmt::format("removed {}", mount.source));
    removed.push_back(mount.source);
  }
  return removed;
}

/// Removes the container if this step made it. What it had set aside, and had found there, is put back.
bool remove_container(Run &run, engine::Engine &engine, const std::string &name, const std::string &token) {
  const auto made_by = [&](const engine::Container &container) {
    const auto label = container.spec.labels.find(std::string(engine::kTokenLabel));
    return label == container.spec.labels.end() ? std::string() : label->second;
  };
  const auto remove = [&](const engine::Container &container) {
    if (container.state == "running") engine.stop(container.id, stop_seconds(container));
    engine.remove(container.id, true);
    engine::remove_secrets(container.spec.mounts);
  };
  const auto current = engine.container(name);
  const auto aside = engine.container(aside_name(name));
  const bool ours = current && made_by(*current) == token;
  if (current && !ours && is_made_by_pipe(*current))
    run.warn(fmt::format("{} was made by another run since, and stays", name));
  if (ours) remove(*current);
  if (aside && is_made_by_pipe(*aside))
    remove(*aside);
  else if (aside && (ours || !current))
    run.info(put_back(engine, *aside, name));
  return ours || (aside && is_made_by_pipe(*aside));
}

/// Networks that `run` made, once nothing is in them. Gives those that are gone.
std::vector<std::string> remove_networks(Run &run, engine::Engine &engine,
                                         const engine::ContainerSpec &spec) {
  std::vector<std::string> removed;
  for (const std::string &network : networks_of(spec)) {
    if (!run.recall(network_key(network))) continue;
    if (!engine.remove_network(network)) {
      run.warn(fmt::format("the network {} stays, as others are in it", network));
      continue;
    }
    run.forget(network_key(network));
    run.info(fmt::format("removed the network {}", network));
    removed.push_back("the network " + network);
  }
  return removed;
}

void undo(Run &run, const Params &params) {
  const auto token = run.recall(token_key(params.name));
  if (!token && !run.undo_data())
    return run.verdict(Verdict::up_to_date, "there is nothing that this step made");
  engine::Engine engine = engine::Engine::connect(params.engine, run);
  const engine::ContainerLock lock(params.name, run);
  engine.lose_sight(params.name);
  std::vector<std::string> gone;
  if (token && remove_container(run, engine, params.name, *token)) gone.push_back(params.name);
  if (token) run.forget(token_key(params.name));
  const engine::ContainerSpec spec = container_spec(params, engine.version());
  if (!gone.empty()) engine::remove_stale_secrets(engine, params.name, {});
  std::ranges::move(remove_networks(run, engine, spec), std::back_inserter(gone));
  take_images_back(run, engine, params.name);
  forget_image(params.image, run);
  if (run.undo_data()) std::ranges::move(remove_data(run, engine, spec), std::back_inserter(gone));
  if (gone.empty())
    return run.verdict(
        Verdict::up_to_date,
        fmt::format("{} {}", params.name, engine.container(params.name) ? "stays" : "is gone already"));
  run.verdict(Verdict::remove, fmt::format("removed {}", fmt::join(gone, ", ")));
}

}  // namespace

PIPE_PLUGIN(kRun, Params, plan, run, undo);
