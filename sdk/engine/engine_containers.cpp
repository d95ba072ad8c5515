// Containers of an engine.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <pipe/oci/base64.hpp>
#include <random>
#include <thread>

#include "engine_state.hpp"
#include "messages.hpp"
#include "stream.hpp"

namespace pipes::engine {

using namespace std::chrono_literals;

namespace {

constexpr auto kExecLimit = 24h;  // without a word of the program
constexpr int kExecTries = 100;
constexpr int kRemoveTries = 20;
constexpr std::size_t kMaxLog = 1u << 20;

}  // namespace

bool Container::has_env(const std::string &wanted, const std::string &value) const {
  if (seen_earlier) {
    const auto hash = env_hashes.find(wanted);
    return hash != env_hashes.end() && hash->second == env_hash(env_salt, wanted, value);
  }
  const auto found = spec.env.find(wanted);
  return found != spec.env.end() && found->second == value;
}

std::optional<Container> Engine::container(const std::string &name_or_id) {
  for (const Sighting &seen : state_->sightings)
    if (seen.container.name == name_or_id || seen.container.id == name_or_id) return seen.container;
  const auto answer = state_->send(
      state_->request("GET", fmt::format("/containers/{}/json", http::encode_component(name_or_id))),
      fmt::format("looking for the container {}", name_or_id), true);
  if (answer.status == 404) return std::nullopt;
  return parse_container(answer.body);
}

void Engine::keep_in_sight(const Container &container) {
  if (!state_->endpoint.on_demand() || container.seen_earlier) return;
  Sighting seen{podman_stamp(), state_->version.version, state_->version.api, process_identity(container.pid),
                container};
  std::random_device random;
  seen.container.env_salt = fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
  for (const auto &[name, value] : container.spec.env)
    seen.container.env_hashes[name] = env_hash(seen.container.env_salt, name, value);
  note(seen);
}

void Engine::lose_sight(const std::string &name) {
  std::erase_if(state_->sightings, [&](const Sighting &seen) { return seen.container.name == name; });
  forget(name);
}

RegistrySettings Engine::registry_settings() {
  return parse_registry_settings(
      state_->send(state_->request("GET", "/info"), "asking about registries").body);
}

std::vector<Container> Engine::containers(const std::string &label) {
  std::string path = "/containers/json?all=1";
  if (!label.empty()) {
    const nlohmann::json filters = {{"label", {label}}};
    path += "&filters=" + http::encode_component(filters.dump());
  }
  return parse_container_list(state_->send(state_->request("GET", path), "listing the containers").body);
}

std::string Engine::create(const ContainerSpec &wanted) {
  ContainerSpec spec = wanted;
  // Netavark 1.4 takes 0.0.0.0 for an address of its own, and forwards what is sent to that: nothing.
  if (version().name == "podman")
    for (PortBinding &port : spec.ports)
      if (port.host_ip == "0.0.0.0") port.host_ip.clear();
  const auto answer = state_->send(
      state_->post("/containers/create?name=" + http::encode_component(spec.name), create_body(spec)),
      fmt::format("creating the container {}", spec.name));
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  if (body.is_object() && body.contains("Warnings") && body["Warnings"].is_array())
    for (const auto &warning : body["Warnings"])
      if (warning.is_string()) state_->observer.log(sdk::Level::warning, warning.get<std::string>());
  return text_member(answer.body, "Id");
}

void Engine::start(const std::string &id) {
  state_->sightings.clear();
  state_->send(state_->post(fmt::format("/containers/{}/start", http::encode_component(id))),
               "starting the container");
}

void Engine::stop(const std::string &id, int seconds) {
  state_->sightings.clear();
  http::Request request =
      state_->post(fmt::format("/containers/{}/stop?t={}", http::encode_component(id), seconds));
  request.no_progress = std::chrono::seconds(seconds) + kUsualLimit;
  state_->send(request, "stopping the container");
}

void Engine::rename(const std::string &id, const std::string &name) {
  state_->sightings.clear();
  state_->send(state_->post(fmt::format("/containers/{}/rename?name={}", http::encode_component(id),
                                        http::encode_component(name))),
               fmt::format("renaming the container to {}", name));
}

bool Engine::set_restart(const std::string &id, const std::string &policy) {
  const auto answer = state_->send(
      state_->post(fmt::format("/containers/{}/update", http::encode_component(id)), restart_body(policy)),
      "changing the container's restart policy", true);
  return answer.status != 404;
}

void Engine::remove(const std::string &id, bool force, bool volumes) {
  state_->sightings.clear();
  // Podman trips over one that ends, or is started again, at that very moment.
  const auto just_moved = [](const sdk::Error &error) {
    return error.message.find("could not be stopped") != std::string::npos ||
           error.message.find("state improper") != std::string::npos;
  };
  for (int tries = 1;; ++tries) {
    try {
      state_->send(state_->request("DELETE", fmt::format("/containers/{}?force={:d}&v={:d}",
                                                         http::encode_component(id), force, volumes)),
                   "removing the container", true);
      return;
    } catch (const sdk::Error &error) {
      if (!force || tries == kRemoveTries || !just_moved(error)) throw;
    }
    state_->observer.check_cancelled();
    std::this_thread::sleep_for(50ms);
  }
}

std::string Engine::logs(const std::string &id, int lines) {
  http::Request request = state_->request(
      "GET", fmt::format("/containers/{}/logs?stdout=1&stderr=1&tail={}", http::encode_component(id), lines));
  std::string body;
  request.sink = [&](const char *data, std::size_t count) {
    body.append(data, std::min(count, kMaxLog - body.size()));
  };
  state_->send(request, "reading the container's log");
  return decode_log(body);
}

std::string Engine::check_health(const std::string &id) {
  if (state_->version.name != "podman") return {};
  http::Request request = state_->request("GET", "");
  request.url = fmt::format("{}/v{}/libpod/containers/{}/healthcheck", state_->base, state_->version.version,
                            http::encode_component(id));
  const http::Response answer = state_->client->send(request);
  return is_success(answer.status) ? text_member(answer.body, "Status") : std::string();
}

int Engine::exec(const std::string &id, const std::vector<std::string> &command,
                 const std::function<void(std::string_view)> &sink) {
  const std::string what = fmt::format("running {} in the container", command.empty() ? "" : command.front());
  const nlohmann::json body = {{"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", command}};
  const auto made = state_->send(
      state_->post(fmt::format("/containers/{}/exec", http::encode_component(id)), body.dump()), what);
  const std::string exec = http::encode_component(text_member(made.body, "Id"));

  FrameSplitter frames(sink);
  http::Request request =
      state_->post(fmt::format("/exec/{}/start", exec), R"({"Detach":false,"Tty":false})");
  request.sink = [&](const char *data, std::size_t count) { frames.feed({data, count}); };
  request.no_progress = kExecLimit;
  state_->send(request, what);

  // The stream may end a moment before the engine knows how the program did.
  for (int tries = 0;; ++tries) {
    const auto answer = state_->send(state_->request("GET", fmt::format("/exec/{}/json", exec)), what);
    const auto state = nlohmann::json::parse(answer.body, nullptr, false);
    const bool running = state.is_object() && state.value("Running", false);
    if (!running && state.is_object() && state.contains("ExitCode") && state["ExitCode"].is_number_integer())
      return state["ExitCode"].get<int>();
    if (tries == kExecTries)
      throw sdk::Error(PIPE_E_TRANSIENT, what + ": the engine does not say how it ended");
    std::this_thread::sleep_for(50ms);
    state_->observer.check_cancelled();
  }
}

std::optional<std::uint64_t> Engine::file_size(const std::string &id, const std::string &path) {
  const auto answer = state_->send(
      state_->request("HEAD", fmt::format("/containers/{}/archive?path={}", http::encode_component(id),
                                          http::encode_component(path))),
      fmt::format("looking for {} in the container", path), true);
  if (answer.status == 404) return std::nullopt;
  const auto bytes = oci::decode_base64(answer.headers.get("x-docker-container-path-stat"));
  const auto stat = nlohmann::json::parse(bytes.value_or(""), nullptr, false);
  if (!stat.is_object() || !stat.contains("size") || !stat["size"].is_number_integer()) return std::nullopt;
  return stat["size"].get<std::uint64_t>();
}

}  // namespace pipes::engine
