#include "messages.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace pipes::engine {

namespace {

using nlohmann::json;

json parse(std::string_view text) {
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded())
    throw sdk::Error(PIPE_E_INVALID, "the engine's answer is not JSON",
                     "is it really an engine that listens there?");
  return value;
}

const json &member(const json &object, const char *name) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

std::string text(const json &value) {
  return value.is_string() ? value.get<std::string>() : std::string{};
}
std::string text(const json &object, const char *name) {
  return text(member(object, name));
}

std::int64_t number(const json &object, const char *name) {
  const json &value = member(object, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

std::vector<std::string> texts(const json &value) {
  if (value.is_string()) return {value.get<std::string>()};
  std::vector<std::string> list;
  if (value.is_array())
    for (const json &item : value)
      if (item.is_string()) list.push_back(item.get<std::string>());
  return list;
}

std::map<std::string, std::string> text_map(const json &value) {
  std::map<std::string, std::string> map;
  if (value.is_object())
    for (const auto &[key, item] : value.items()) map[key] = text(item);
  return map;
}

std::vector<std::string> keys(const json &value) {
  std::vector<std::string> list;
  if (value.is_object())
    for (const auto &[key, item] : value.items()) list.push_back(key);
  return list;
}

/// IDs are compared between engines, some of which leave the algorithm out.
std::string full_id(const std::string &id) {
  const bool bare = id.size() == 64 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
  return bare ? "sha256:" + id : id;
}

std::string bare_name(std::string name) {
  if (name.starts_with('/')) name.erase(0, 1);
  return name;
}

std::vector<PortBinding> port_map(const json &ports) {
  std::vector<PortBinding> list;
  if (!ports.is_object()) return list;
  for (const auto &[container, bindings] : ports.items()) {
    if (!bindings.is_array()) continue;
    for (const json &binding : bindings)
      list.push_back({container, text(binding, "HostIp"), text(binding, "HostPort")});
  }
  return list;
}

std::map<std::string, std::string> env_map(const json &env) {
  std::map<std::string, std::string> map;
  for (const std::string &entry : texts(env)) {
    const auto equals = entry.find('=');
    map[entry.substr(0, equals)] = equals == std::string::npos ? "" : entry.substr(equals + 1);
  }
  return map;
}

std::string restart_text(const json &policy) {
  std::string name = text(policy, "Name");
  if (name.empty()) return "no";
  const std::int64_t most = number(policy, "MaximumRetryCount");
  return name == "on-failure" && most > 0 ? fmt::format("on-failure:{}", most) : name;
}

json restart_policy(const std::string &restart) {
  const auto colon = restart.find(':');
  json policy = {{"Name", restart.substr(0, colon)}};
  if (colon != std::string::npos) policy["MaximumRetryCount"] = std::stoi(restart.substr(colon + 1));
  return policy;
}

std::string lower(std::string text) {
  for (char &c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

json health_check(const HealthCheck &health) {
  constexpr std::int64_t kNanoseconds = 1000000;  // in a millisecond
  if (health.command == "none") return {{"Test", {"NONE"}}};
  json check = {{"Test", {"CMD-SHELL", health.command}}};
  const auto time = [&](const char *name, std::int64_t value) {
    if (value > 0) check[name] = value * kNanoseconds;
  };
  time("Interval", health.interval);
  time("Timeout", health.timeout);
  time("StartPeriod", health.start_period);
  if (health.retries > 0) check["Retries"] = health.retries;
  return check;
}

json ulimit_list(const std::map<std::string, std::string> &ulimits) {
  json list = json::array();
  for (const auto &[name, value] : ulimits) {
    const auto colon = value.find(':');
    list.push_back({{"Name", name},
                    {"Soft", std::stoll(value.substr(0, colon))},
                    {"Hard", std::stoll(colon == std::string::npos ? value : value.substr(colon + 1))}});
  }
  return list;
}

json device_list(const std::vector<std::string> &devices) {
  json list = json::array();
  for (const std::string &device : devices) {
    const auto colon = device.find(':');
    const std::string outside = device.substr(0, colon);
    list.push_back({{"PathOnHost", outside},
                    {"PathInContainer", colon == std::string::npos ? outside : device.substr(colon + 1)},
                    {"CgroupPermissions", "rwm"}});
  }
  return list;
}

json tmpfs_map(const std::vector<std::string> &tmpfs) {
  json map = json::object();
  for (const std::string &entry : tmpfs) {
    const auto colon = entry.find(':');
    map[entry.substr(0, colon)] = colon == std::string::npos ? "" : entry.substr(colon + 1);
  }
  return map;
}

/// The part of HostConfig that limits a container.
void add_limits(json &host, const ContainerSpec &spec) {
  constexpr double kNanoCpus = 1e9;
  if (spec.memory > 0) host["Memory"] = spec.memory;
  if (spec.cpus > 0) host["NanoCpus"] = std::llround(spec.cpus * kNanoCpus);
  if (spec.pids > 0) host["PidsLimit"] = spec.pids;
  if (spec.read_only) host["ReadonlyRootfs"] = true;
  if (spec.init) host["Init"] = true;
  if (!spec.tmpfs.empty()) host["Tmpfs"] = tmpfs_map(spec.tmpfs);
  if (!spec.cap_add.empty()) host["CapAdd"] = spec.cap_add;
  if (!spec.cap_drop.empty()) host["CapDrop"] = spec.cap_drop;
  if (!spec.security_opt.empty()) host["SecurityOpt"] = spec.security_opt;
  if (!spec.extra_hosts.empty()) host["ExtraHosts"] = spec.extra_hosts;
  if (!spec.devices.empty()) host["Devices"] = device_list(spec.devices);
  if (!spec.ulimits.empty()) host["Ulimits"] = ulimit_list(spec.ulimits);
  if (!spec.sysctls.empty()) host["Sysctls"] = spec.sysctls;
  if (!spec.log.empty()) {
    std::map<std::string, std::string> options = spec.log;
    options.erase("driver");
    const auto driver = spec.log.find("driver");
    host["LogConfig"] = {{"Type", driver == spec.log.end() ? "" : driver->second}, {"Config", options}};
  }
}

/// The same as an engine reports it, in the words of ContainerSpec: Podman says CAP_CHOWN and RLIMIT_NOFILE.
void read_limits(ContainerSpec &spec, const json &host) {
  constexpr double kNanoCpus = 1e9;
  const auto without = [](const std::string &word, std::string_view prefix) {
    return word.starts_with(prefix) ? word.substr(prefix.size()) : word;
  };
  const auto flag = [&](const char *name) {
    const json &value = member(host, name);
    return value.is_boolean() && value.get<bool>();
  };
  spec.memory = number(host, "Memory");
  spec.cpus = static_cast<double>(number(host, "NanoCpus")) / kNanoCpus;
  spec.pids = std::max<std::int64_t>(number(host, "PidsLimit"), 0);
  spec.read_only = flag("ReadonlyRootfs");
  spec.init = flag("Init");
  for (const auto &[path, options] : text_map(member(host, "Tmpfs")))
    spec.tmpfs.push_back(options.empty() ? path : path + ":" + options);
  for (const std::string &cap : texts(member(host, "CapAdd"))) spec.cap_add.push_back(without(cap, "CAP_"));
  for (const std::string &cap : texts(member(host, "CapDrop"))) spec.cap_drop.push_back(without(cap, "CAP_"));
  spec.security_opt = texts(member(host, "SecurityOpt"));
  spec.extra_hosts = texts(member(host, "ExtraHosts"));
  spec.sysctls = text_map(member(host, "Sysctls"));
  if (const json &devices = member(host, "Devices"); devices.is_array())
    for (const json &device : devices) {
      const std::string outside = text(device, "PathOnHost"), inside = text(device, "PathInContainer");
      spec.devices.push_back(outside == inside ? outside : outside + ":" + inside);
    }
  if (const json &ulimits = member(host, "Ulimits"); ulimits.is_array())
    for (const json &ulimit : ulimits) {
      const std::int64_t soft = number(ulimit, "Soft"), hard = number(ulimit, "Hard");
      spec.ulimits[without(lower(text(ulimit, "Name")), "rlimit_")] =
          soft == hard ? std::to_string(soft) : fmt::format("{}:{}", soft, hard);
    }
  const json &log = member(host, "LogConfig");
  spec.log = text_map(member(log, "Config"));
  if (!text(log, "Type").empty()) spec.log["driver"] = text(log, "Type");
}

void read_health_check(ContainerSpec &spec, const json &config) {
  constexpr std::int64_t kNanoseconds = 1000000;
  const json &check = member(config, "Healthcheck");
  const std::vector<std::string> test = texts(member(check, "Test"));
  if (test.empty()) return;
  spec.health = HealthCheck{test.front() == "NONE" ? "none" : test.back(),
                            number(check, "Interval") / kNanoseconds, number(check, "Timeout") / kNanoseconds,
                            number(check, "StartPeriod") / kNanoseconds, number(check, "Retries")};
}

void read_health(Container &container, const json &state) {
  // Podman 4 calls it Healthcheck in some answers, and has it, empty, for containers without a check.
  const json &health =
      member(state, "Health").is_object() ? member(state, "Health") : member(state, "Healthcheck");
  container.health = text(health, "Status");
  if (container.health == "none") container.health.clear();
  if (const json &log = member(health, "Log"); log.is_array() && !log.empty())
    container.health_log = text(log.back(), "Output");
}

struct Cause {
  std::string_view part;
  pipe_status status;
  std::string_view hint;
};
constexpr std::array kCauses = {
    Cause{"port is already allocated", PIPE_E_INVALID, "stop what uses the port, or publish another one"},
    Cause{"address already in use", PIPE_E_INVALID, "stop what uses the port, or publish another one"},
    Cause{"hybrid mode not supported", PIPE_E_INVALID,
          "crun does not run on this machine's hybrid cgroups: install runc, and set `runtime = \"runc\"` "
          "under "
          "[engine] in containers.conf if the engine is not started by pipe"},
    Cause{"setting rlimit", PIPE_E_INVALID,
          "limits may not be raised here: set lower `default_ulimits` under [containers] in containers.conf, "
          "or, with `ulimits` of its own, nofile and nproc there"},
    Cause{"iptables", PIPE_E_INVALID,
          "publishing ports needs the iptables command: apt-get install iptables"},
    Cause{"no space left on device", PIPE_E_IO, "free some space where the engine keeps its images"},
    Cause{"Cannot connect to the Docker daemon", PIPE_E_TRANSIENT, ""},
};

pipe_status status_of(int http_status) {
  switch (http_status) {
    case 401:
    case 403:
      return PIPE_E_DENIED;
    case 404:
      return PIPE_E_NOT_FOUND;
    case 429:
    case 502:
    case 503:
    case 504:
      return PIPE_E_TRANSIENT;
    default:
      return http_status >= 500 ? PIPE_E_IO : PIPE_E_INVALID;
  }
}

}  // namespace

std::string create_body(const ContainerSpec &spec) {
  json body = {{"Image", spec.image}, {"Labels", spec.labels}};
  if (!spec.user.empty()) body["User"] = spec.user;
  if (!spec.hostname.empty()) body["Hostname"] = spec.hostname;
  if (spec.health) body["Healthcheck"] = health_check(*spec.health);
  if (spec.stop_timeout > 0) body["StopTimeout"] = spec.stop_timeout;
  if (spec.has_command) body["Cmd"] = spec.command;
  if (spec.has_entrypoint) body["Entrypoint"] = spec.entrypoint;
  json env = json::array();
  for (const auto &[name, value] : spec.env) env.push_back(name + "=" + value);
  body["Env"] = env;

  json host = json::object();
  if (!spec.ports.empty()) {
    json exposed = json::object(), bindings = json::object();
    for (const PortBinding &port : spec.ports) {
      exposed[port.container] = json::object();
      bindings[port.container].push_back({{"HostIp", port.host_ip}, {"HostPort", port.host_port}});
    }
    body["ExposedPorts"] = exposed;
    host["PortBindings"] = bindings;
  }
  if (!spec.mounts.empty()) {
    // Mounts and not Binds: a host path that is missing is an error then, not a new folder of root's.
    json mounts = json::array();
    for (const Mount &mount : spec.mounts)
      mounts.push_back({{"Type", mount.type},
                        {"Source", mount.source},
                        {"Target", mount.target},
                        {"ReadOnly", mount.read_only}});
    host["Mounts"] = mounts;
  }
  if (!spec.restart.empty()) host["RestartPolicy"] = restart_policy(spec.restart);
  if (!spec.network.empty()) host["NetworkMode"] = spec.network;
  if (!spec.userns.empty()) host["UsernsMode"] = spec.userns;
  add_limits(host, spec);
  body["HostConfig"] = host;
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string restart_body(const std::string &policy) {
  return json{{"RestartPolicy", restart_policy(policy)}}.dump();
}

Container parse_container(std::string_view json_text) {
  const json value = parse(json_text);
  const json &config = member(value, "Config"), &host = member(value, "HostConfig"),
             &state = member(value, "State"), &network = member(value, "NetworkSettings");
  Container container;
  container.id = text(value, "Id");
  container.name = bare_name(text(value, "Name"));
  container.image = text(config, "Image");
  container.image_id = full_id(text(value, "Image"));
  container.state = text(state, "Status");
  container.exit_code = static_cast<int>(number(state, "ExitCode"));
  container.restart_count = static_cast<int>(number(value, "RestartCount"));
  container.pid = number(state, "Pid");
  container.error = text(state, "Error");
  read_health(container, state);

  ContainerSpec &spec = container.spec;
  spec.name = container.name;
  spec.image = container.image;
  spec.user = text(config, "User");
  spec.hostname = text(config, "Hostname");
  spec.env = env_map(member(config, "Env"));
  spec.labels = text_map(member(config, "Labels"));
  spec.command = texts(member(config, "Cmd"));
  spec.entrypoint = texts(member(config, "Entrypoint"));
  spec.has_command = !spec.command.empty();
  spec.has_entrypoint = !spec.entrypoint.empty();
  spec.restart = restart_text(member(host, "RestartPolicy"));
  spec.network = text(host, "NetworkMode");
  spec.stop_timeout = number(config, "StopTimeout");
  read_health_check(spec, config);
  read_limits(spec, host);
  spec.ports = port_map(member(host, "PortBindings"));
  if (const json &mounts = member(value, "Mounts"); mounts.is_array()) {
    for (const json &mount : mounts) {
      const std::string type = text(mount, "Type");
      const json &writable = member(mount, "RW");
      spec.mounts.push_back({type, text(mount, type == "volume" ? "Name" : "Source"),
                             text(mount, "Destination"), writable.is_boolean() && !writable.get<bool>()});
    }
  }
  container.bound_ports = port_map(member(network, "Ports"));
  if (const json &networks = member(network, "Networks"); networks.is_object())
    for (const auto &[name, details] : networks.items()) {
      container.addresses[name] = text(details, "IPAddress");
      spec.networks.push_back({name, texts(member(details, "Aliases"))});
    }
  return container;
}

RegistrySettings parse_registry_settings(std::string_view json_text) {
  const json info = parse(json_text);
  const json &config = member(info, "RegistryConfig");
  RegistrySettings settings;
  settings.mirrors = texts(member(config, "Mirrors"));
  settings.insecure = texts(member(config, "InsecureRegistryCIDRs"));
  if (const json &hosts = member(config, "IndexConfigs"); hosts.is_object())
    for (const auto &[host, index] : hosts.items())
      if (const json &secure = member(index, "Secure"); secure.is_boolean() && !secure.get<bool>())
        settings.insecure.push_back(host);
  return settings;
}

std::vector<Container> parse_container_list(std::string_view json_text) {
  std::vector<Container> list;
  for (const json &value : parse(json_text)) {
    Container container;
    container.id = text(value, "Id");
    const std::vector<std::string> names = texts(member(value, "Names"));
    if (!names.empty()) container.name = bare_name(names.front());
    container.image = text(value, "Image");
    container.image_id = full_id(text(value, "ImageID"));
    container.state = text(value, "State");
    container.spec.name = container.name;
    container.spec.labels = text_map(member(value, "Labels"));
    if (const json &ports = member(value, "Ports"); ports.is_array()) {
      for (const json &port : ports) {
        const std::int64_t published = number(port, "PublicPort");
        if (published == 0) continue;
        container.bound_ports.push_back(
            {fmt::format("{}/{}", number(port, "PrivatePort"), text(port, "Type")), text(port, "IP"),
             std::to_string(published)});
      }
    }
    list.push_back(std::move(container));
  }
  return list;
}

Image parse_image(std::string_view json_text) {
  const json value = parse(json_text);
  const json &config = member(value, "Config");
  Image image;
  image.id = full_id(text(value, "Id"));
  image.tags = texts(member(value, "RepoTags"));
  image.digests = texts(member(value, "RepoDigests"));
  image.layers = texts(member(member(value, "RootFS"), "Layers"));
  // Only containerd's store says what it has (since API 1.48); before that, its ID is that of the manifest.
  image.keeps_blobs = member(value, "Descriptor").is_object() ||
                      std::ranges::any_of(image.digests, [&](const std::string &each) {
                        return each.ends_with("@" + image.id);
                      });
  image.os = text(value, "Os");
  image.architecture = text(value, "Architecture");
  image.user = text(config, "User");
  image.env = texts(member(config, "Env"));
  image.entrypoint = texts(member(config, "Entrypoint"));
  image.command = texts(member(config, "Cmd"));
  image.exposed_ports = keys(member(config, "ExposedPorts"));
  image.volumes = keys(member(config, "Volumes"));
  image.labels = text_map(member(config, "Labels"));
  return image;
}

std::string text_member(std::string_view json_text, const char *name) {
  return text(parse(json_text), name);
}

StreamMessage parse_stream_message(std::string_view json_text) {
  const json value = parse(json_text);
  StreamMessage message{text(value, "stream"), text(value, "status"), text(value, "id"), {}};
  // `error` is deprecated since API 1.48 and may be empty there; older engines send nothing else.
  const json &detail = member(value, "errorDetail");
  if (detail.is_object() && !text(detail, "message").empty())
    message.error = text(detail, "message");
  else if (!text(value, "error").empty())
    message.error = text(value, "error");
  return message;
}

std::string error_text(std::string_view body) {
  const json value = json::parse(body, nullptr, false);
  if (!value.is_discarded() && !text(value, "message").empty()) return text(value, "message");
  std::string line;
  for (char c : body.substr(0, 200)) {
    if (c == '\n' && !line.empty()) break;
    if (static_cast<unsigned char>(c) >= ' ') line += c;
  }
  return line.empty() ? "no reason given" : line;
}

sdk::Error answer_error(int status, std::string_view what, std::string_view body) {
  for (const Cause &cause : kCauses)
    if (body.find(cause.part) != std::string_view::npos)
      return sdk::Error(cause.status, fmt::format("{}: {}", what, body), std::string(cause.hint));
  return sdk::Error(status_of(status), fmt::format("{}: {}", what, body));
}

}  // namespace pipes::engine
