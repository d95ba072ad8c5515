#include "sightings.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <pipe/oci/digest.hpp>
#include <sstream>
#include <system_error>

#include "places.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

fs::path folder() {
  return state_folder() / "podman";
}

json to_json(const std::vector<PortBinding> &ports) {
  json list = json::array();
  for (const PortBinding &port : ports) list.push_back({port.container, port.host_ip, port.host_port});
  return list;
}

std::vector<PortBinding> ports_of(const json &list) {
  std::vector<PortBinding> ports;
  for (const json &port : list) ports.push_back({port.at(0), port.at(1), port.at(2)});
  return ports;
}

}  // namespace

std::string process_identity(std::int64_t pid) {
  if (pid <= 0) return {};
  // proc(5): pid (comm) state …; the command may hold spaces and brackets, the 22nd field is the start.
  const std::string stat = read_text(fmt::format("/proc/{}/stat", pid));
  const auto bracket = stat.rfind(") ");
  if (bracket == std::string::npos) return {};
  std::istringstream fields(stat.substr(bracket + 2));
  std::string field, state;
  fields >> state;
  if (state != "S" && state != "R") return {};
  for (int i = 4; i <= 22; ++i) fields >> field;
  std::string boot = read_text("/proc/sys/kernel/random/boot_id");
  boot.erase(boot.find_last_not_of('\n') + 1);
  return fmt::format("{} {} {}", boot, pid, field);
}

std::string podman_stamp() {
  struct stat info {};
  const fs::path program = find_program("podman");
  if (program.empty() || ::stat(program.c_str(), &info) != 0) return {};
  return fmt::format("{} {} {}.{}", program.string(), info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

std::string env_hash(const std::string &salt, const std::string &name, const std::string &value) {
  oci::Hasher hasher;
  for (const std::string *part : {&salt, &name, &value}) {
    hasher.update(*part);
    hasher.update(std::string_view("\0", 1));
  }
  return hasher.finish().str();
}

std::string to_json(const Sighting &seen) {
  const Container &container = seen.container;
  const ContainerSpec &spec = container.spec;
  json mounts = json::array();
  for (const Mount &mount : spec.mounts)
    mounts.push_back({mount.type, mount.source, mount.target, mount.read_only});
  const json value = {{"podman", seen.podman},
                      {"version", seen.version},
                      {"api", seen.api},
                      {"process", seen.process},
                      {"pid", container.pid},
                      {"id", container.id},
                      {"name", container.name},
                      {"image", container.image},
                      {"image_id", container.image_id},
                      {"user", spec.user},
                      {"restart", spec.restart},
                      {"network", spec.network},
                      {"hostname", spec.hostname},
                      {"command", spec.command},
                      {"entrypoint", spec.entrypoint},
                      {"labels", spec.labels},
                      {"ports", to_json(spec.ports)},
                      {"bound_ports", to_json(container.bound_ports)},
                      {"mounts", mounts},
                      {"addresses", container.addresses},
                      {"env", container.env_hashes},
                      {"salt", container.env_salt}};
  return value.dump(1, ' ', false, json::error_handler_t::replace);
}

std::optional<Sighting> parse_sighting(const std::string &text) {
  try {
    const json value = json::parse(text);
    Sighting seen;
    seen.podman = value.at("podman");
    seen.version = value.at("version");
    seen.api = value.at("api");
    seen.process = value.at("process");
    Container &container = seen.container;
    container.seen_earlier = true;
    container.state = "running";
    container.pid = value.at("pid");
    container.id = value.at("id");
    container.name = value.at("name");
    container.image = value.at("image");
    container.image_id = value.at("image_id");
    container.bound_ports = ports_of(value.at("bound_ports"));
    container.addresses = value.at("addresses").get<std::map<std::string, std::string>>();
    container.env_hashes = value.at("env").get<std::map<std::string, std::string>>();
    container.env_salt = value.at("salt");
    ContainerSpec &spec = container.spec;
    spec.name = container.name;
    spec.image = container.image;
    spec.user = value.at("user");
    spec.restart = value.at("restart");
    spec.network = value.at("network");
    spec.hostname = value.at("hostname");
    spec.command = value.at("command").get<std::vector<std::string>>();
    spec.entrypoint = value.at("entrypoint").get<std::vector<std::string>>();
    spec.has_command = !spec.command.empty();
    spec.has_entrypoint = !spec.entrypoint.empty();
    spec.labels = value.at("labels").get<std::map<std::string, std::string>>();
    spec.ports = ports_of(value.at("ports"));
    for (const json &mount : value.at("mounts"))
      spec.mounts.push_back({mount.at(0), mount.at(1), mount.at(2), mount.at(3)});
    return seen;
  } catch (const json::exception &) {
    return std::nullopt;  // written by another version: it is written again
  }
}

void note(const Sighting &seen) {
  write_atomically(folder() / (seen.container.name + ".json"), to_json(seen), 0600);
}

void forget(const std::string &container) {
  std::error_code error;
  fs::remove(folder() / (container + ".json"), error);
}

std::vector<Sighting> valid_sightings() {
  std::vector<Sighting> list;
  std::error_code error;
  const std::string stamp = podman_stamp();
  for (const fs::directory_entry &entry : fs::directory_iterator(folder(), error)) {
    if (entry.path().extension() != ".json") continue;
    auto seen = parse_sighting(read_text(entry.path()));
    if (seen && !seen->process.empty() && seen->podman == stamp &&
        seen->process == process_identity(seen->container.pid))
      list.push_back(std::move(*seen));
  }
  return list;
}

}  // namespace pipes::engine
