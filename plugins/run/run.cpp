// run: a container that is there, as it was asked for, and answering.
#include <fmt/core.h>

#include <filesystem>
#include <system_error>

#include "converge.hpp"
#include "preflight.hpp"

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
        field("labels", &Params::labels, {.help = "Labels of the container", .fallback = "{}"}),
        field(
            "ready", &Params::ready,
            {.help = "What must answer before the step is done: a URL (2xx, 3xx or 401), tcp://host:port (a "
                     "connection stays open), `none`; by default the first published tcp port (an HTTP "
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

Job job_for(Run &run, engine::Engine &engine, const Params &params) {
  return {run, engine, params, container_spec(params, engine.version()), find_image(params.image)};
}

std::string engine_output(const Params &params, const engine::Version &version,
                          const engine::Endpoint &endpoint) {
  if (!params.engine.empty()) return params.engine;
  if (endpoint.on_demand() || endpoint.found_by == "the Podman socket") return "podman";
  return version.name == "docker" ? "docker" : endpoint.address;
}

std::string address_of(const engine::Container &container, const engine::Version &version) {
  for (const engine::PortBinding &port : container.bound_ports)
    if (port.container.ends_with("/tcp") && !port.host_port.empty()) return engine::reach(port, version.host);
  return {};
}

void report_differences(Run &run, const Decision &decision) {
  for (const auto &[name, before, after] : decision.differences) run.diff(name, before, after);
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
  Job job = job_for(run, engine, params);
  auto current = engine.container(params.name);
  if (!current) current = engine.container(aside_name(params.name));
  const Decision decision = decide(job, current);
  report_differences(run, decision);
  switch (decision.action) {
    case Action::nothing:
      run.verdict(Verdict::up_to_date, fmt::format("{} is running", params.name));
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
  Job job = job_for(run, engine, params);
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
  report_differences(run, decision);
  const engine::Container container = carry_out(job, decision, current);
  engine.keep_in_sight(container);

  const std::string address = address_of(container, engine.version());
  const std::string at = address.empty() ? "" : " at " + address;
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
  run.output("address", address);
  run.output("engine", engine_output(params, engine.version(), endpoint));
}

/// Data that `run` made: only when asked for, and only once no container uses it.
void remove_data(Run &run, engine::Engine &engine, const engine::ContainerSpec &spec) {
  for (const engine::Mount &mount : spec.mounts) {
    const auto made = run.recall(mount_key(mount));
    if (!made) continue;
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
  }
}

void undo(Run &run, const Params &params) {
  const auto token = run.recall(token_key(params.name));
  if (!token && !run.undo_data())
    return run.verdict(Verdict::up_to_date, "there is nothing that this step made");
  engine::Engine engine = engine::Engine::connect(params.engine, run);
  std::string removed;
  engine.lose_sight(params.name);
  for (const std::string &name : {params.name, aside_name(params.name)}) {
    const auto container = engine.container(name);
    const auto label = std::string(engine::kTokenLabel);
    if (!token || !container || !container->spec.labels.contains(label)) continue;
    if (name == params.name && container->spec.labels.at(label) != *token) {
      run.warn(fmt::format("{} was made by another run since, and stays", name));
      continue;
    }
    if (container->state == "running") engine.stop(container->id, 10);
    engine.remove(container->id, true);
    removed = params.name;
  }
  if (token) run.forget(token_key(params.name));
  if (run.undo_data()) remove_data(run, engine, container_spec(params, engine.version()));
  if (removed.empty())
    return run.verdict(Verdict::up_to_date, fmt::format("{} is gone already", params.name));
  run.verdict(Verdict::remove, fmt::format("removed {}", removed));
}

}  // namespace

PIPE_PLUGIN(kRun, Params, plan, run, undo);
