#include "preflight.hpp"

#include <pipe/engine/host.hpp>
#include <pipe/engine/spec.hpp>

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace run_step {

namespace fs = std::filesystem;

namespace {

constexpr int kPortsTried = 50;

bool collides(const engine::PortBinding &a, const engine::PortBinding &b) {
  const auto protocol = [](const engine::PortBinding &port) {
    return port.container.substr(port.container.find('/'));
  };
  return a.host_port == b.host_port && protocol(a) == protocol(b) &&
         (any_address(a.host_ip) || any_address(b.host_ip) || a.host_ip == b.host_ip);
}

bool holds(const engine::Container &container, const engine::PortBinding &port) {
  return std::any_of(container.bound_ports.begin(), container.bound_ports.end(),
                     [&](const engine::PortBinding &bound) { return collides(port, bound); });
}

std::string address_of(const engine::PortBinding &port) {
  return fmt::format("{}:{}", port.host_ip.empty() ? "0.0.0.0" : port.host_ip, port.host_port);
}

std::string free_port_near(engine::PortBinding port) {
  const int first = std::stoi(port.host_port);
  for (int number = first + 1; number <= std::min(first + kPortsTried, 65535); ++number) {
    port.host_port = std::to_string(number);
    if (engine::check_port(port).free) return fmt::format("; {} is free", port.host_port);
  }
  return {};
}

/// From this port on, everybody may listen (ip(7)).
int first_free_for_all() {
  int port = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

/// Whether the container's user could write there, as far as the folder's mode tells.
bool writable_for(const Owner &owner, const struct stat &info) {
  if (!owner.uid || *owner.uid == 0 || (info.st_mode & S_IWOTH) != 0) return true;
  if (info.st_uid == *owner.uid) return (info.st_mode & S_IWUSR) != 0;
  return owner.gid && info.st_gid == *owner.gid && (info.st_mode & S_IWGRP) != 0;
}

[[noreturn]] void folder_error(const std::string &path, const char *what, int why) {
  throw sdk::Error(why == EPERM || why == EACCES ? PIPE_E_DENIED : PIPE_E_IO,
                   fmt::format("can't {} the folder {}: {}", what, path, std::strerror(why)),
                   "make it yourself, or use a named volume");
}

/// Whether the container's user has another number on this machine. In a rootless engine, root is the caller,
/// and `keep-id` leaves the caller's own number.
bool has_another_number(const Owner &owner, const engine::ContainerSpec &wanted,
                        const engine::Version &version) {
  return version.rootless && wanted.userns.empty() && owner.uid && *owner.uid != 0;
}

void make_folder(sdk::Run &run, const engine::Mount &mount, const engine::ContainerSpec &wanted,
                 const engine::Version &version) {
  const std::string &path = mount.source, &user = wanted.user;
  Owner owner = owner_of(user);
  if (has_another_number(owner, wanted, version))
    throw sdk::Error(
        PIPE_E_DENIED,
        fmt::format("there is no folder {}, and it can't be made for user {}, who has another number outside "
                    "a rootless container",
                    path, user),
        "let it run as `self`, or use a named volume" +
            (version.name == "podman"
                 ? fmt::format(", or make it: podman unshare sh -c 'mkdir -p {} && chown {} {}'", path, user,
                               path)
                 : ""));
  run.remember(mount_key(mount), "folder");
  std::error_code error;
  fs::create_directories(path, error);
  if (error) folder_error(path, "make", error.value());
  if (version.rootless && owner.uid == 0U) owner = {};  // who made it
  if (owner.uid && ::chown(path.c_str(), *owner.uid, owner.gid.value_or(static_cast<gid_t>(-1))) < 0) {
    const int why = errno;
    fs::remove(path, error);  // or the next run would take it for one that was there
    folder_error(path, fmt::format("give user {}", user).c_str(), why);
  }
  run.info(fmt::format("made the folder {}{}", path, owner.uid ? " for user " + user : ""));
}

void make_bind(sdk::Run &run, const engine::Mount &mount, const engine::ContainerSpec &wanted,
               const engine::Version &version) {
  struct stat info {};
  if (::stat(mount.source.c_str(), &info) < 0) {
    if (errno != ENOENT) folder_error(mount.source, "look at", errno);
    if (mount.read_only)
      throw sdk::Error(PIPE_E_NOT_FOUND,
                       fmt::format("volume {}: there is no {}", engine::to_text(mount), mount.source),
                       "what is only read must be there already");
    return make_folder(run, mount, wanted, version);
  }
  const Owner owner = owner_of(wanted.user);
  if (has_another_number(owner, wanted, version)) return;
  if (!mount.read_only && S_ISDIR(info.st_mode) && !writable_for(owner, info))
    run.warn(fmt::format("user {} may not be able to write to {}, which belongs to {}:{}", wanted.user,
                         mount.source, info.st_uid, info.st_gid));
}

}  // namespace

bool any_address(const std::string &ip) {
  return ip.empty() || ip == "0.0.0.0" || ip == "::";
}

void check_ports(engine::Engine &engine, const engine::ContainerSpec &wanted,
                 const engine::Container *current) {
  if (wanted.ports.empty()) return;
  const std::vector<engine::Container> containers = engine.containers();
  // Rootless Podman listens as its user; rootless Docker's program for that is often allowed more.
  const engine::Version &version = engine.version();
  const bool as_user = version.rootless && version.name == "podman" && engine.on_this_machine();
  for (const engine::PortBinding &port : wanted.ports) {
    if (port.host_port.empty() || (current && holds(*current, port))) continue;
    if (const int first = first_free_for_all(); as_user && std::stoi(port.host_port) < first)
      throw sdk::Error(
          PIPE_E_DENIED,
          fmt::format("port {} is below {}, where rootless podman may not listen", address_of(port), first),
          fmt::format("publish another one in `ports`, or let everybody listen there: sudo sysctl "
                      "net.ipv4.ip_unprivileged_port_start={}",
                      port.host_port));
    std::string taken;
    for (const engine::Container &other : containers)
      if ((!current || other.id != current->id) && holds(other, port))
        taken = "taken by the container " + other.name;
    if (taken.empty() && engine.on_this_machine())
      if (const engine::PortCheck check = engine::check_port(port); !check.free) taken = check.reason;
    if (taken.empty()) continue;
    const std::string near = engine.on_this_machine() ? free_port_near(port) : "";
    throw sdk::Error(PIPE_E_INVALID, fmt::format("port {} is {}", address_of(port), taken),
                     fmt::format("stop what uses it, or publish another one in `ports`{}", near));
  }
}

void make_mounts(sdk::Run &run, engine::Engine &engine, const engine::ContainerSpec &wanted) {
  for (const engine::Mount &mount : wanted.mounts) {
    if (mount.type == "bind") {
      // The host paths of a remote engine are its own: it says itself when one is missing.
      if (engine.on_this_machine()) make_bind(run, mount, wanted, engine.version());
    } else if (!engine.has_volume(mount.source)) {
      run.remember(mount_key(mount), "volume");
      engine.create_volume(mount.source, {{"pipe.container", wanted.name}});
    }
  }
}

void make_networks(sdk::Run &run, engine::Engine &engine, const engine::ContainerSpec &wanted) {
  for (const std::string &network : networks_of(wanted)) {
    if (engine.has_network(network)) continue;
    run.remember(network_key(network), "network");
    engine.create_network(network, {{"pipe.container", wanted.name}});
    run.info(fmt::format("made the network {}", network));
  }
}

std::vector<std::string> networks_of(const engine::ContainerSpec &wanted) {
  static constexpr std::array kBuiltIn = {"default", "bridge",      "host",  "none",
                                          "podman",  "slirp4netns", "pasta", "private"};
  std::vector<std::string> names;
  const bool built_in = wanted.network.empty() || wanted.network.find(':') != std::string::npos ||
                        std::find(kBuiltIn.begin(), kBuiltIn.end(), wanted.network) != kBuiltIn.end();
  if (!built_in) names.push_back(wanted.network);
  for (const engine::NetworkJoin &network : wanted.networks) names.push_back(network.name);
  return names;
}

std::string network_key(const std::string &name) {
  return "network " + name;
}

std::string mount_key(const engine::Mount &mount) {
  return (mount.type == "volume" ? "data volume " : "data folder ") + mount.source;
}

}  // namespace run_step
