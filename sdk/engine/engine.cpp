#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <pipe/engine/engine.hpp>
#include <pipe/http/client.hpp>
#include <pipe/oci/base64.hpp>
#include <random>
#include <thread>

#include "api_version.hpp"
#include "messages.hpp"
#include "podman_service.hpp"
#include "sightings.hpp"
#include "stream.hpp"
#include "unique_fd.hpp"

namespace pipes::engine {

using namespace std::chrono_literals;

namespace {

constexpr auto kUsualLimit = 2min;  // creating and starting, on a slow disk
constexpr auto kLoadLimit = 10min;  // unpacking, after the last byte was sent
constexpr auto kExecLimit = 24h;    // without a word of the program
constexpr int kExecTries = 100;
constexpr std::size_t kMaxLog = 1u << 20;
constexpr std::size_t kPiece = 256u << 10;

/// An image's name stays readable in a path: engines route on it as it is.
std::string encode_name(std::string_view name) {
  std::string encoded;
  for (char c : name) {
    if (std::strchr("/:@", c) != nullptr && c != '\0')
      encoded += c;
    else
      encoded += http::encode_component(std::string_view(&c, 1));
  }
  return encoded;
}

/// "Docker/20.10.24 (linux)" -> "20.10.24"
std::string product_version(std::string_view server) {
  const auto slash = server.find('/');
  if (slash == std::string_view::npos) return {};
  server.remove_prefix(slash + 1);
  return std::string(server.substr(0, server.find(' ')));
}

bool is_success(int status) {
  return status >= 200 && status < 300;
}

http::ClientOptions client_options(const Endpoint &endpoint, const std::optional<PodmanService> &podman) {
  http::ClientOptions options;
  if (podman)
    options.unix_socket = podman->socket();
  else if (endpoint.address.starts_with("unix://"))
    options.unix_socket = endpoint.address.substr(7);
  options.ca_file = endpoint.ca_file;
  options.client_cert = endpoint.client_cert;
  options.client_key = endpoint.client_key;
  options.verify = endpoint.verify;
  return options;
}

std::string base_url(const Endpoint &endpoint) {
  if (endpoint.on_this_machine()) return "http://localhost";
  return (endpoint.tls ? "https://" : "http://") + endpoint.address.substr(6);
}

bool owned_by_a_user(const Endpoint &endpoint) {
  if (endpoint.on_demand()) return ::geteuid() != 0;
  struct stat info {};
  return endpoint.on_this_machine() && ::stat(endpoint.address.c_str() + 7, &info) == 0 && info.st_uid != 0;
}

}  // namespace

struct Engine::State {
  State(const Endpoint &where, sdk::Observer &watcher)
      : endpoint(where), observer(watcher), base(base_url(endpoint)) {
    version.endpoint = endpoint.on_demand() ? "podman (started on demand)" : endpoint.address;
    version.rootless = owned_by_a_user(endpoint);
    version.host = endpoint.on_this_machine() ? "127.0.0.1" : http::Origin::of(base).host;
    if (endpoint.on_demand()) sightings = valid_sightings();
    if (sightings.empty()) {
      open();
      return;
    }
    version.name = "podman";
    version.version = sightings.front().version;
    version.api = sightings.front().api;
  }

  /// Connects (starts podman, where that is the engine) unless that was done.
  void open() {
    if (client) return;
    if (endpoint.on_demand()) podman.emplace(PodmanService::start(observer));
    client.emplace(client_options(endpoint, podman), observer);
    negotiate_version();
  }

  http::Request request(std::string method, std::string_view path) {
    open();
    http::Request request;
    request.method = std::move(method);
    request.url = fmt::format("{}/v{}{}", base, version.api, path);
    request.no_progress = kUsualLimit;
    request.follow = false;
    return request;
  }

  http::Request post(std::string_view path, std::string body = {}) {
    http::Request result = request("POST", path);
    result.headers = {{"Content-Type", "application/json"}};
    result.body = std::move(body);
    return result;
  }

  /// The answer to a request, where 2xx and 304 (already so) are good and 404 may be.
  http::Response send(const http::Request &request, std::string_view what, bool may_be_missing = false) {
    http::Response response = client->send(request);
    const bool good =
        is_success(response.status) || response.status == 304 || (may_be_missing && response.status == 404);
    if (!good) throw answer_error(response.status, what, error_text(response.body));
    return response;
  }

  /// Sends a request whose answer is a stream of progress, with a failure in it or without.
  void follow(http::Request request, const std::string &login, std::string_view what) {
    std::optional<std::string> failure;
    JsonSplitter messages([&](std::string_view object) {
      const StreamMessage message = parse_stream_message(object);
      if (message.error && !failure) failure = message.error;
    });
    request.headers.emplace_back("X-Registry-Auth", login);
    request.no_progress = kLoadLimit;
    request.sink = [&](const char *data, std::size_t count) { messages.feed({data, count}); };
    send(request, what);
    if (failure) throw answer_error(500, what, *failure);
    messages.finish();
  }

  void negotiate_version();

  Endpoint endpoint;
  sdk::Observer &observer;
  std::optional<PodmanService> podman;
  std::optional<http::Client> client;
  std::string base;
  std::vector<Sighting> sightings;
  Version version;
};

void Engine::State::negotiate_version() {
  http::Request ping;
  ping.url = base + "/_ping";
  ping.no_progress = 30s;
  http::Response pong;
  try {
    pong = client->send(ping);
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    throw sdk::Error(
        error.status,
        fmt::format("no engine answers at {} ({}): {}", version.endpoint, endpoint.found_by, error.message),
        error.hint.empty() ? "is it running, and is the address right?" : error.hint);
  }
  const std::string_view newest = pong.headers.get("api-version");
  if (!is_success(pong.status) || newest.empty()) {
    const bool wants_tls = pong.body.find("HTTPS server") != std::string::npos;
    throw sdk::Error(
        PIPE_E_INVALID,
        fmt::format("{} ({}) is no Docker Engine: it answered HTTP {} to /_ping", version.endpoint,
                    endpoint.found_by, pong.status),
        wants_tls ? "it wants TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH" : "check the address");
  }
  const std::string_view podman_version = pong.headers.get("libpod-api-version");
  version.name = podman_version.empty() ? "docker" : "podman";
  version.version =
      podman_version.empty() ? product_version(pong.headers.get("server")) : std::string(podman_version);
  const ApiVersion server = ApiVersion::parse(newest);
  ApiVersion oldest{1, 0};
  if (server > kNewestApi) {
    // Only then can the engine's oldest version matter, and only /version tells it. (Podman's /version
    // takes more than a second, as it asks the package manager; its newest API is below ours.)
    http::Request details;
    details.url = base + "/version";
    const http::Response answer = send(details, "asking the engine for its version");
    if (std::string text = text_member(answer.body, "MinAPIVersion"); !text.empty())
      oldest = ApiVersion::parse(text);
  }
  version.api = negotiate(oldest, server, fmt::format("{} {}", version.name, version.version)).str();
  observer.log(sdk::Level::debug, fmt::format("{} {} at {}, API {}", version.name, version.version,
                                              version.endpoint, version.api));
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::Engine(Engine &&) noexcept = default;
Engine &Engine::operator=(Engine &&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::connect(std::string_view which, sdk::Observer &observer) {
  return connect(find_endpoint(which, observer), observer);
}

Engine Engine::connect(const Endpoint &endpoint, sdk::Observer &observer) {
  return Engine(std::make_unique<State>(endpoint, observer));
}

const Version &Engine::version() const {
  return state_->version;
}
bool Engine::on_this_machine() const {
  return state_->endpoint.on_this_machine();
}

std::optional<Image> Engine::image(const std::string &name_or_id) {
  const auto answer =
      state_->send(state_->request("GET", fmt::format("/images/{}/json", encode_name(name_or_id))),
                   fmt::format("looking for the image {}", name_or_id), true);
  if (answer.status == 404) return std::nullopt;
  return parse_image(answer.body);
}

std::vector<std::string> Engine::load(std::optional<std::uint64_t> size,
                                      const std::function<std::string_view()> &next) {
  std::vector<std::string> names;
  std::optional<std::string> failure;
  JsonSplitter messages([&](std::string_view object) {
    const StreamMessage message = parse_stream_message(object);
    if (message.error && !failure) failure = message.error;
    for (std::string_view prefix : {"Loaded image: ", "Loaded image ID: "}) {
      if (!message.stream.starts_with(prefix)) continue;
      std::string name = message.stream.substr(prefix.size());
      name.erase(name.find_last_not_of(" \r\n") + 1);
      names.push_back(std::move(name));
    }
  });

  std::string_view piece;
  http::Request request = state_->request("POST", "/images/load?quiet=1");
  request.headers = {{"Content-Type", "application/x-tar"}};
  request.body_size = size;
  request.no_progress = kLoadLimit;
  request.source = [&](char *data, std::size_t room) {
    if (piece.empty()) piece = next();
    const std::size_t taken = std::min(room, piece.size());
    std::memcpy(data, piece.data(), taken);
    piece.remove_prefix(taken);
    return taken;
  };
  request.sink = [&](const char *data, std::size_t count) { messages.feed({data, count}); };
  state_->send(request, "loading the image");
  if (failure) throw answer_error(500, "loading the image", *failure);
  messages.finish();
  if (names.empty()) throw sdk::Error(PIPE_E_INVALID, "the engine took the image and loaded nothing of it");
  return names;
}

std::vector<std::string> Engine::load(std::optional<std::uint64_t> size,
                                      const std::function<void(const PieceSink &)> &write) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    throw sdk::Error(PIPE_E_IO, fmt::format("can't make a socket pair: {}", std::strerror(errno)));
  UniqueFd reader(ends[0]), writer(ends[1]);
  std::exception_ptr failure;
  std::thread producer([&] {
    try {
      write([&](const char *data, std::size_t count) {
        while (count > 0) {
          const ssize_t sent = ::send(writer.get(), data, count, MSG_NOSIGNAL);
          if (sent < 0 && errno == EINTR) continue;
          if (sent < 0) return false;  // the engine's side is gone, and says why
          data += sent;
          count -= static_cast<std::size_t>(sent);
        }
        return true;
      });
    } catch (...) {
      failure = std::current_exception();
    }
    writer.reset();
  });
  struct Join {
    UniqueFd &reader;
    std::thread &producer;
    ~Join() {
      reader.reset();  // wakes a producer that waits for room
      if (producer.joinable()) producer.join();
    }
  } join{reader, producer};

  std::string buffer(kPiece, '\0');
  return load(size, [&]() -> std::string_view {
    for (;;) {
      const ssize_t count = ::read(reader.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count > 0) return {buffer.data(), static_cast<std::size_t>(count)};
      if (producer.joinable()) producer.join();
      if (failure) std::rethrow_exception(failure);
      return {};
    }
  });
}

void Engine::save(const std::string &name, const std::function<void(const char *, std::size_t)> &sink) {
  http::Request request = state_->request("GET", fmt::format("/images/{}/get", encode_name(name)));
  request.sink = sink;
  request.no_progress = kLoadLimit;
  state_->send(request, fmt::format("reading the image {} from the engine", name));
}

void Engine::tag_image(const std::string &image, const std::string &name) {
  const auto colon = name.rfind(':');
  state_->send(state_->post(fmt::format("/images/{}/tag?repo={}&tag={}", encode_name(image),
                                        http::encode_component(name.substr(0, colon)),
                                        http::encode_component(name.substr(colon + 1)))),
               fmt::format("naming the image {}", name));
}

void Engine::remove_image(const std::string &name) {
  state_->send(state_->request("DELETE", "/images/" + encode_name(name)),
               fmt::format("removing the image {}", name), true);
}

namespace {

/// "host:5000/app:1" -> the name and the tag.
std::pair<std::string, std::string> split_tag(const std::string &name) {
  const auto colon = name.rfind(':');
  return {name.substr(0, colon), name.substr(colon + 1)};
}

}  // namespace

void Engine::push_image(const std::string &name, const std::string &login, bool verify_tls) {
  const auto [image, tag] = split_tag(name);
  state_->follow(state_->post(fmt::format("/images/{}/push?tag={}{}", encode_name(image),
                                          http::encode_component(tag), verify_tls ? "" : "&tlsVerify=false")),
                 login, fmt::format("pushing {}", name));
}

void Engine::pull_image(const std::string &name, const std::string &login, bool verify_tls) {
  const auto [image, tag] = split_tag(name);
  std::string path = fmt::format("/images/create?fromImage={}&tag={}", http::encode_component(image),
                                 http::encode_component(tag));
  // Podman's own pull knows of it; its Docker-like one passes over it (4.3).
  if (!verify_tls && version().name == "podman")
    path = fmt::format("/libpod/images/pull?reference={}&tlsVerify=false", http::encode_component(name));
  state_->follow(state_->post(path), login, fmt::format("pulling {}", name));
}

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
  state_->send(state_->request("DELETE", fmt::format("/containers/{}?force={:d}&v={:d}",
                                                     http::encode_component(id), force, volumes)),
               "removing the container", true);
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

bool Engine::has_network(const std::string &name) {
  return state_
             ->send(state_->request("GET", "/networks/" + http::encode_component(name)),
                    fmt::format("looking for the network {}", name), true)
             .status != 404;
}

void Engine::create_network(const std::string &name, const std::map<std::string, std::string> &labels) {
  const nlohmann::json body = {
      {"Name", name}, {"CheckDuplicate", true}, {"Driver", "bridge"}, {"Labels", labels}};
  state_->send(state_->post("/networks/create", body.dump()), fmt::format("creating the network {}", name));
}

bool Engine::remove_network(const std::string &name) {
  const http::Request request = state_->request("DELETE", "/networks/" + http::encode_component(name));
  const http::Response answer = state_->client->send(request);
  if (is_success(answer.status) || answer.status == 404) return true;
  // Docker: 403 "has active endpoints"; Podman: 409 or 500 "network is being used".
  const std::string reason = error_text(answer.body);
  if (reason.find("active endpoints") != std::string::npos || reason.find("being used") != std::string::npos)
    return false;
  throw answer_error(answer.status, fmt::format("removing the network {}", name), reason);
}

void Engine::join_network(const std::string &id, const NetworkJoin &network) {
  const nlohmann::json body = {{"Container", id}, {"EndpointConfig", {{"Aliases", network.aliases}}}};
  state_->send(
      state_->post(fmt::format("/networks/{}/connect", http::encode_component(network.name)), body.dump()),
      fmt::format("joining the network {}", network.name));
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

bool Engine::has_volume(const std::string &name) {
  return state_
             ->send(state_->request("GET", "/volumes/" + http::encode_component(name)),
                    fmt::format("looking for the volume {}", name), true)
             .status != 404;
}

std::optional<std::string> Engine::volume_path(const std::string &name) {
  const auto answer = state_->send(state_->request("GET", "/volumes/" + http::encode_component(name)),
                                   fmt::format("looking for the volume {}", name), true);
  if (answer.status == 404) return std::nullopt;
  return text_member(answer.body, "Mountpoint");
}

void Engine::create_volume(const std::string &name, const std::map<std::string, std::string> &labels) {
  const nlohmann::json body = {{"Name", name}, {"Labels", labels}};
  state_->send(state_->post("/volumes/create", body.dump()), fmt::format("creating the volume {}", name));
}

void Engine::remove_volume(const std::string &name) {
  state_->send(state_->request("DELETE", "/volumes/" + http::encode_component(name)),
               fmt::format("removing the volume {}", name), true);
}

}  // namespace pipes::engine
