#pragma once
// A container engine that speaks the Docker Engine API: Docker, Podman, or Podman started on demand.
#include <pipe/error.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::engine {

struct Version {
  std::string name;      // "docker" | "podman"
  std::string version;   // "20.10.24"
  std::string api;       // negotiated, "1.41"
  std::string endpoint;  // unix:///run/docker.sock, tcp://host:2376, or "podman (started on demand)"
  std::string host;  // where its published ports are reached: "127.0.0.1", or the host of a tcp:// endpoint
  bool rootless = false;
};

struct Image {
  std::string id;            // sha256:…: of the config (graph drivers) or of the manifest (containerd)
  bool keeps_blobs = false;  // the engine has manifests and blobs as they were pulled (containerd)
  std::vector<std::string> layers;  // diffIDs, lowest first
  std::vector<std::string> tags, digests;
  std::string os, architecture, user;
  std::vector<std::string> env, entrypoint, command;
  std::vector<std::string> exposed_ports, volumes;  // "5000/tcp", "/var/lib/registry"
  std::map<std::string, std::string> labels;
};

struct PortBinding {
  std::string container;  // "5000/tcp"
  std::string host_ip;    // "" is every address
  std::string host_port;  // "" or "0": the engine chooses
  auto operator<=>(const PortBinding &) const = default;
};

struct Mount {
  std::string type;    // "bind" | "volume"
  std::string source;  // host path or volume name
  std::string target;
  bool read_only = false;
  auto operator<=>(const Mount &) const = default;
};

/// How an engine sees whether a container is well. Times in milliseconds; 0 is the engine's default.
struct HealthCheck {
  std::string command;  // of a shell in the container; "none" turns off the image's own
  std::int64_t interval = 0, timeout = 0, start_period = 0;
  std::int64_t retries = 0;
};

/// A network that a container is in besides its first one.
struct NetworkJoin {
  std::string name;
  std::vector<std::string> aliases;  // by which others there find it, besides its name
};

/// What a container is asked to be. Empty members are left to the image and the engine.
struct ContainerSpec {
  std::string name, image, user, restart, network, hostname;
  std::vector<NetworkJoin> networks;
  std::optional<HealthCheck> health;
  std::int64_t memory = 0, pids = 0;  // bytes, processes; 0: no limit of its own
  double cpus = 0;
  std::int64_t stop_timeout = 0;  // seconds between SIGTERM and SIGKILL; 0: the engine's default
  bool read_only = false, init = false;
  std::vector<std::string> tmpfs;              // /path or /path:options
  std::vector<std::string> cap_add, cap_drop;  // "NET_ADMIN", "ALL"
  std::vector<std::string> security_opt, extra_hosts, devices;
  std::map<std::string, std::string> ulimits;  // nofile -> "1024" or "1024:2048" (soft:hard)
  std::map<std::string, std::string> sysctls;
  std::map<std::string, std::string> log;  // "driver", and the driver's own options
  std::vector<std::string> command, entrypoint;
  bool has_command = false, has_entrypoint = false;
  std::map<std::string, std::string> env, labels;
  std::vector<PortBinding> ports;
  std::vector<Mount> mounts;
  std::string userns;  // Podman: "keep-id" gives the caller's uid inside and outside; "" elsewhere
};

struct Container {
  std::string id, name, image, image_id;
  std::string state;  // created, running, restarting, exited, paused, dead
  int exit_code = 0, restart_count = 0;
  std::int64_t pid = 0;  // of its first process, on the engine's machine; 0 when it does not run
  std::string error;
  std::string health;                    // starting, healthy, unhealthy; empty: it has no health check
  std::string health_log;                // what the last check wrote
  ContainerSpec spec;                    // as the engine reports it, with what came from the image
  std::vector<PortBinding> bound_ports;  // the real mapping of a running container
  std::map<std::string, std::string> addresses;  // network -> IP
  /// Podman was not asked: this was seen earlier, and the very process that was seen still runs.
  bool seen_earlier = false;
  std::map<std::string, std::string> env_hashes;  // instead of spec.env where it was seen earlier
  std::string env_salt;
  bool has_env(const std::string &name, const std::string &value) const;
};

/// What an engine has been told about registries.
struct RegistrySettings {
  std::vector<std::string> insecure;  // host[:port], and networks in CIDR notation
  std::vector<std::string> mirrors;   // of Docker Hub: URLs, with a slash at the end
};

/// Where an engine would be found, before anything is connected or started.
struct Endpoint {
  std::string address;   // unix:///run/docker.sock, tcp://host:2376; empty: podman, started on demand
  std::string found_by;  // "DOCKER_HOST", "the Docker context `lab`", …: for messages
  std::string ca_file, client_cert, client_key;
  bool tls = false, verify = true;
  bool on_demand() const { return address.empty(); }
  bool on_this_machine() const { return address.empty() || address.starts_with("unix://"); }
};
/// What Engine::connect(which, …) would use. Throws PIPE_E_NOT_FOUND, PIPE_E_DENIED, PIPE_E_INVALID.
Endpoint find_endpoint(std::string_view which, sdk::Observer &);

/// Hands pieces of a body on; its false stops the writing.
using PieceSink = std::function<bool(const char *data, std::size_t size)>;

/// A connection to one engine; podman on demand is started when it is first needed. One thread at a time.
/// Every member throws sdk::Error: PIPE_E_NOT_FOUND (no engine, no such thing), PIPE_E_DENIED (socket not
/// readable), PIPE_E_INVALID, PIPE_E_TRANSIENT, PIPE_E_CANCELLED. Errors inside a 200 stream are errors.
class Engine {
 public:
  /// `which`: "" (DOCKER_HOST, the current Docker context, the Docker socket, the Podman socket, podman
  /// on demand, in that order), "docker", "podman", or an endpoint (unix://…, tcp://…).
  static Engine connect(std::string_view which, sdk::Observer &);
  static Engine connect(const Endpoint &, sdk::Observer &);
  Engine(Engine &&) noexcept;
  Engine &operator=(Engine &&) noexcept;
  ~Engine();

  const Version &version() const;
  /// Whether its containers' ports, paths and processes are this machine's.
  bool on_this_machine() const;

  /// What is in force now (GET /info); Podman, which has its own files for that, says nothing.
  RegistrySettings registry_settings();
  std::optional<Image> image(const std::string &name_or_id);
  /// POST /images/load. `next` gives the next piece of a docker-archive, empty at its end. Returns the
  /// names (or IDs) that the engine says it loaded.
  std::vector<std::string> load(std::optional<std::uint64_t> size,
                                const std::function<std::string_view()> &next);
  /// The same for a writer that pushes, such as oci::write_docker_archive: it runs in a thread of its own,
  /// and what it throws is thrown here.
  std::vector<std::string> load(std::optional<std::uint64_t> size,
                                const std::function<void(const PieceSink &)> &write);
  /// GET /images/{name}/get: a docker-archive.
  void save(const std::string &name, const std::function<void(const char *, std::size_t)> &sink);
  /// `name` is a full reference with a tag.
  void tag_image(const std::string &image, const std::string &name);
  void remove_image(const std::string &name);
  /// Has the engine push to, or pull from, the registry in `name` (with a tag), as `docker push` would.
  /// `login` is X-Registry-Auth (oci::engine_login). `verify_tls` false matters to Podman only: Docker has
  /// insecure-registries for it. What its stream tells of a failure is thrown.
  void push_image(const std::string &name, const std::string &login, bool verify_tls = true);
  void pull_image(const std::string &name, const std::string &login, bool verify_tls = true);

  /// Where podman is started on demand (90 ms), a container that `keep_in_sight` noted is answered for from
  /// that note, as long as its process runs: same boot, same process, same podman.
  std::optional<Container> container(const std::string &name_or_id);
  /// Notes a container that runs as it should, for the next process that asks. Values of env are kept as
  /// salted hashes. Does nothing with an engine that is not started on demand.
  void keep_in_sight(const Container &);
  /// The engine is asked the next time.
  void lose_sight(const std::string &name);
  std::vector<Container> containers(const std::string &label = {});  // all states; summary members only
  /// Returns the ID. PIPE_E_NOT_FOUND: no such image.
  std::string create(const ContainerSpec &);
  void start(const std::string &id);
  void stop(const std::string &id, int seconds);
  void rename(const std::string &id, const std::string &name);
  /// Changes the restart policy ("no", "always", "on-failure:3"). False: this engine can't (Podman before 5).
  bool set_restart(const std::string &id, const std::string &policy);
  void remove(const std::string &id, bool force, bool volumes = false);
  /// The last lines of stdout and stderr together.
  std::string logs(const std::string &id, int lines);
  /// Podman has systemd look after health, and does not where there is none: checks now, and gives what came
  /// of it as Container::health. Empty where the engine sees to it itself.
  std::string check_health(const std::string &id);
  bool has_network(const std::string &name);
  void create_network(const std::string &name, const std::map<std::string, std::string> &labels);
  /// False: it is still used.
  bool remove_network(const std::string &name);
  void join_network(const std::string &id, const NetworkJoin &);
  /// Runs a program in a running container, and gives its exit code. `sink` gets what it writes, both streams
  /// together, as it comes.
  int exec(const std::string &id, const std::vector<std::string> &command,
           const std::function<void(std::string_view)> &sink);
  /// The size of a file in a container; nullopt where there is none.
  std::optional<std::uint64_t> file_size(const std::string &id, const std::string &path);
  bool has_volume(const std::string &name);
  /// Where a named volume lies on the engine's machine; nothing if there is none.
  std::optional<std::string> volume_path(const std::string &name);
  void create_volume(const std::string &name, const std::map<std::string, std::string> &labels);
  void remove_volume(const std::string &name);

 private:
  struct State;
  explicit Engine(std::unique_ptr<State>);
  std::unique_ptr<State> state_;
};

}  // namespace pipes::engine
