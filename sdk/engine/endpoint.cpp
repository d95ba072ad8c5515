// Finds the engine that the user means, in the order that Docker's own tools use.
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <pipe/engine/engine.hpp>
#include <system_error>
#include <vector>

#include "places.hpp"
#include "unique_fd.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// 0, or why nothing answers there (errno).
int try_socket(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0 ? 0 : errno;
}

sdk::Error denied(const std::string &path) {
  return sdk::Error(
      PIPE_E_DENIED, fmt::format("no permission to use the engine's socket {}", path),
      "add yourself to its group (`sudo usermod -aG docker $USER`, then log in again), use rootless "
      "Docker or Podman, or run this as root");
}

[[noreturn]] void throw_socket_error(const Endpoint &endpoint, int why) {
  const std::string path = endpoint.address.substr(7);
  if (why == EACCES || why == EPERM) throw denied(path);
  const std::string reason = why == ENOENT         ? "there is no such socket"
                             : why == ECONNREFUSED ? "nothing listens on that socket"
                                                   : std::strerror(why);
  throw sdk::Error(PIPE_E_NOT_FOUND,
                   fmt::format("no engine at {} ({}): {}", endpoint.address, endpoint.found_by, reason),
                   "start the engine, or name another one");
}

/// unix://, tcp://, http(s)://; an absolute path is a socket.
Endpoint endpoint_at(std::string address, std::string found_by) {
  if (address.starts_with('/')) address = "unix://" + address;
  Endpoint endpoint{.address = address,
                    .found_by = std::move(found_by),
                    .ca_file = {},
                    .client_cert = {},
                    .client_key = {}};
  if (address.starts_with("unix:///")) return endpoint;
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!address.starts_with(scheme)) continue;
    endpoint.address = "tcp://" + address.substr(scheme.size());
    endpoint.tls = scheme == "https://";
  }
  if (endpoint.address.starts_with("tcp://") && endpoint.address.size() > 6) return endpoint;
  if (address.starts_with("ssh://"))
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("the engine {} ({}) is behind SSH, which pipe does not speak", address,
                                 endpoint.found_by),
                     "forward its socket: ssh -NL /tmp/docker.sock:/run/docker.sock HOST, then "
                     "DOCKER_HOST=unix:///tmp/docker.sock");
  throw sdk::Error(PIPE_E_INVALID,
                   fmt::format("`{}` ({}) is no engine's address", address, endpoint.found_by),
                   "expected unix:///path, tcp://host:port, `docker` or `podman`");
}

fs::path docker_config_folder() {
  const std::string set = env("DOCKER_CONFIG");
  return set.empty() ? home() / ".docker" : fs::path(set);
}

void use_certificates(Endpoint &endpoint, const fs::path &folder) {
  std::error_code error;
  const auto file = [&](const char *name) {
    const fs::path path = folder / name;
    return fs::exists(path, error) ? path.string() : std::string();
  };
  endpoint.ca_file = file("ca.pem");
  endpoint.client_cert = file("cert.pem");
  endpoint.client_key = file("key.pem");
}

Endpoint from_docker_host(const std::string &host) {
  Endpoint endpoint = endpoint_at(host, "from DOCKER_HOST");
  if (endpoint.on_this_machine()) return endpoint;
  const std::string folder = env("DOCKER_CERT_PATH");
  endpoint.verify = !env("DOCKER_TLS_VERIFY").empty();
  endpoint.tls = endpoint.tls || endpoint.verify || !env("DOCKER_TLS").empty() || !folder.empty();
  if (endpoint.tls) use_certificates(endpoint, folder.empty() ? docker_config_folder() : fs::path(folder));
  return endpoint;
}

std::string current_context() {
  if (std::string set = env("DOCKER_CONTEXT"); !set.empty()) return set;
  const json config = json::parse(read_text(docker_config_folder() / "config.json"), nullptr, false);
  return config.is_object() && config.contains("currentContext") && config["currentContext"].is_string()
             ? config["currentContext"].get<std::string>()
             : "";
}

/// Docker keeps a context in contexts/meta/<sha256 of its name>/meta.json, its certificates likewise.
Endpoint from_context(const std::string &name) {
  const fs::path contexts = docker_config_folder() / "contexts";
  const std::string found_by = fmt::format("from the Docker context `{}`", name);
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(contexts / "meta", error)) {
    const json meta = json::parse(read_text(entry.path() / "meta.json"), nullptr, false);
    if (!meta.is_object() || meta.value("Name", "") != name) continue;
    const json docker = meta.value("/Endpoints/docker"_json_pointer, json::object());
    Endpoint endpoint = endpoint_at(docker.value("Host", ""), found_by);
    const fs::path certificates = contexts / "tls" / entry.path().filename() / "docker";
    endpoint.verify = !docker.value("SkipTLSVerify", false);
    endpoint.tls = endpoint.tls || fs::exists(certificates, error);
    if (endpoint.tls) use_certificates(endpoint, certificates);
    return endpoint;
  }
  throw sdk::Error(PIPE_E_NOT_FOUND,
                   fmt::format("there is no Docker context `{}` in {}", name, contexts.string()),
                   "see `docker context ls`, or unset DOCKER_CONTEXT");
}

std::optional<Endpoint> from_docker_settings() {
  if (std::string host = env("DOCKER_HOST"); !host.empty()) return from_docker_host(host);
  if (std::string name = current_context(); !name.empty() && name != "default") return from_context(name);
  return std::nullopt;
}

std::vector<std::string> sockets(bool docker) {
  std::vector<std::string> list;
  const std::string runtime = env("XDG_RUNTIME_DIR");
  const std::string own = docker ? "/docker.sock" : "/podman/podman.sock";
  if (docker) list.emplace_back("/var/run/docker.sock");
  if (!runtime.empty()) list.push_back(runtime + own);
  if (!docker && ::geteuid() == 0) list.emplace_back("/run/podman/podman.sock");
  return list;
}

/// The first socket that answers; one that may not be used is kept in mind in `refused`.
std::optional<Endpoint> first_socket(bool docker, std::string &refused) {
  for (const std::string &path : sockets(docker)) {
    const int why = try_socket(path);
    if (why == 0) return endpoint_at("unix://" + path, docker ? "the Docker socket" : "the Podman socket");
    if (why == EACCES || why == EPERM) refused = path;
  }
  return std::nullopt;
}

Endpoint on_demand() {
  return {.address = {}, .found_by = "started on demand", .ca_file = {}, .client_cert = {}, .client_key = {}};
}

Endpoint find(std::string_view which, sdk::Observer &observer) {
  std::string refused;
  if (which.empty() || which == "docker") {
    if (auto endpoint = from_docker_settings()) return *endpoint;
    if (auto endpoint = first_socket(true, refused)) return *endpoint;
    if (which == "docker") {
      if (!refused.empty()) throw denied(refused);
      throw sdk::Error(
          PIPE_E_NOT_FOUND,
          "there is no Docker Engine: DOCKER_HOST is not set, and nothing listens on /var/run/docker.sock",
          "start Docker, or leave `engine` out to use Podman");
    }
  } else if (which != "podman") {
    return endpoint_at(std::string(which), "from the parameter `engine`");
  }
  if (auto endpoint = first_socket(false, refused)) return *endpoint;
  if (!find_program("podman").empty()) {
    if (!refused.empty())
      observer.log(sdk::Level::warning,
                   fmt::format("{} may not be used by this user: taking podman instead", refused));
    return on_demand();
  }
  if (!refused.empty()) throw denied(refused);
  throw sdk::Error(
      PIPE_E_NOT_FOUND,
      which.empty() ? "there is no container engine on this machine" : "there is no podman on this machine",
      "install Podman (apt-get install podman) or Docker, or say where one is: DOCKER_HOST=tcp://host:2376");
}

}  // namespace

Endpoint find_endpoint(std::string_view which, sdk::Observer &observer) {
  Endpoint endpoint = find(which, observer);
  if (endpoint.address.starts_with("unix://"))
    if (const int why = try_socket(endpoint.address.substr(7))) throw_socket_error(endpoint, why);
  return endpoint;
}

}  // namespace pipes::engine
