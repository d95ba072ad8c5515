#include "engine_state.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "api_version.hpp"
#include "messages.hpp"
#include "stream.hpp"

namespace pipes::engine {

using namespace std::chrono_literals;

namespace {

/// "Docker/20.10.24 (linux)" -> "20.10.24"
std::string product_version(std::string_view server) {
  const auto slash = server.find('/');
  if (slash == std::string_view::npos) return {};
  server.remove_prefix(slash + 1);
  return std::string(server.substr(0, server.find(' ')));
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

Engine::State::State(const Endpoint &where, sdk::Observer &watcher)
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

void Engine::State::open() {
  if (client) return;
  if (endpoint.on_demand()) podman.emplace(PodmanService::start(observer));
  client.emplace(client_options(endpoint, podman), observer);
  negotiate_version();
}

http::Request Engine::State::request(std::string method, std::string_view path) {
  open();
  http::Request request;
  request.method = std::move(method);
  request.url = fmt::format("{}/v{}{}", base, version.api, path);
  request.no_progress = kUsualLimit;
  request.follow = false;
  return request;
}

http::Request Engine::State::post(std::string_view path, std::string body) {
  http::Request result = request("POST", path);
  result.headers = {{"Content-Type", "application/json"}};
  result.body = std::move(body);
  return result;
}

http::Response Engine::State::send(const http::Request &request, std::string_view what, bool may_be_missing) {
  http::Response response = client->send(request);
  if (is_success(response.status) || response.status == 304) return response;
  // Podman says so of one that is removed while it looks at it.
  if (response.status == 500 && error_text(response.body).ends_with("no such container"))
    response.status = 404;
  if (!may_be_missing || response.status != 404)
    throw answer_error(response.status, what, error_text(response.body));
  return response;
}

void Engine::State::follow(http::Request request, const std::string &login, std::string_view what) {
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

}  // namespace pipes::engine
