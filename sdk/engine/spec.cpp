#include <pipe/engine/spec.hpp>

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace pipes::engine {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::string_view kPortForms =
    "expected [ADDRESS:][HOST_PORT:]PORT[/tcp|udp], such as 127.0.0.1:5000:5000";
constexpr std::string_view kMountForms =
    "expected NAME:/path or /host/path:/path, with :ro at the end where it is only read";

[[noreturn]] void reject(std::string_view kind, std::string_view text, std::string_view why,
                         std::string_view forms) {
  throw sdk::Error(PIPE_E_INVALID, fmt::format("{} `{}`: {}", kind, text, why), std::string(forms));
}

/// A port, or 0 where `text` is none.
int port_number(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0 && value <= 65535 ? value : 0;
}

bool is_address(const std::string &text) {
  in6_addr buffer{};
  return ::inet_pton(AF_INET, text.c_str(), &buffer) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &buffer) == 1;
}

bool is_volume_name(std::string_view name) {
  const auto alphanumeric = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !name.empty() && alphanumeric(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return alphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
}

std::string plain_path(std::string_view text) {
  std::string path = fs::path(text).lexically_normal();
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

bool any_address(const std::string &ip) {
  return ip.empty() || ip == "0.0.0.0" || ip == "::";
}
bool any_port(const std::string &port) {
  return port.empty() || port == "0";
}

/// Whether `actual` gives what `wanted` asks for; engines write "every address" in several ways.
bool serves(const PortBinding &wanted, const PortBinding &actual) {
  return wanted.container == actual.container &&
         (any_port(wanted.host_port) || wanted.host_port == actual.host_port) &&
         (any_address(wanted.host_ip) ? any_address(actual.host_ip) : wanted.host_ip == actual.host_ip);
}

std::string joined(const std::vector<std::string> &list) {
  std::string text;
  for (const std::string &item : list) text += (text.empty() ? "" : " ") + item;
  return text;
}

std::vector<std::string> sorted(std::vector<std::string> list) {
  std::sort(list.begin(), list.end());
  return list;
}

template <class T>
std::vector<std::string> texts(const std::vector<T> &list) {
  std::vector<std::string> result;
  for (const T &item : list) result.push_back(to_text(item));
  return sorted(std::move(result));
}

/// Members of ContainerSpec that stand for themselves, by the names that people know them by; only those
/// that say something.
using Settings = std::map<std::string, std::string>;
/// Those in which each item stands for itself.
using Lists = std::map<std::string, std::vector<std::string>>;

/// What a container was asked to be, as far as kSpecLabel says.
struct Asked {
  std::string user, restart, network, userns;
  std::optional<std::vector<std::string>> command, entrypoint;
  std::vector<std::string> ports, volumes;
  std::set<std::string> env, labels;  // names
  Settings settings;
  Lists lists;
};

std::string seconds(std::int64_t milliseconds) {
  return fmt::format("{}s", static_cast<double>(milliseconds) / 1000);
}

std::string size_text(std::int64_t bytes) {
  constexpr std::int64_t kStep = 1024;
  static constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (unit + 1 < kUnits.size() && bytes >= kStep && bytes % kStep == 0) bytes /= kStep, ++unit;
  return fmt::format("{} {}", bytes, kUnits[unit]);
}

Settings settings_of(const ContainerSpec &spec) {
  Settings settings;
  const auto add = [&](const std::string &name, bool says_something, const std::string &value) {
    if (says_something) settings[name] = value;
  };
  add("memory", spec.memory > 0, size_text(spec.memory));
  add("cpus", spec.cpus > 0, fmt::format("{}", spec.cpus));
  add("pids", spec.pids > 0, std::to_string(spec.pids));
  add("stop_timeout", spec.stop_timeout > 0, fmt::format("{}s", spec.stop_timeout));
  add("hostname", !spec.hostname.empty(), spec.hostname);
  add("read_only", spec.read_only, "true");
  add("init", spec.init, "true");
  if (spec.health) {
    add("health.command", true, spec.health->command);
    add("health.interval", spec.health->interval > 0, seconds(spec.health->interval));
    add("health.timeout", spec.health->timeout > 0, seconds(spec.health->timeout));
    add("health.start_period", spec.health->start_period > 0, seconds(spec.health->start_period));
    add("health.retries", spec.health->retries > 0, std::to_string(spec.health->retries));
  }
  for (const auto &[name, value] : spec.ulimits) add("ulimits." + name, true, value);
  for (const auto &[name, value] : spec.sysctls) add("sysctls." + name, true, value);
  for (const auto &[name, value] : spec.log) add("log." + name, true, value);
  return settings;
}

std::string to_text(const NetworkJoin &network) {
  std::string aliases;
  for (const std::string &alias : sorted(network.aliases)) aliases += (aliases.empty() ? ":" : ",") + alias;
  return network.name + aliases;
}

Lists lists_of(const ContainerSpec &spec) {
  Lists lists;
  const auto add = [&](const char *name, std::vector<std::string> items) {
    if (!items.empty()) lists[name] = sorted(std::move(items));
  };
  std::vector<std::string> networks;
  for (const NetworkJoin &network : spec.networks) networks.push_back(to_text(network));
  add("networks", std::move(networks));
  add("tmpfs", spec.tmpfs);
  add("cap_add", spec.cap_add);
  add("cap_drop", spec.cap_drop);
  add("security_opt", spec.security_opt);
  add("extra_hosts", spec.extra_hosts);
  add("devices", spec.devices);
  return lists;
}

template <class Map>
std::set<std::string> names(const Map &map) {
  std::set<std::string> result;
  for (const auto &entry : map)
    if (!entry.first.starts_with("pipe.")) result.insert(entry.first);
  return result;
}

std::string restart_or_no(const std::string &restart) {
  return restart.empty() ? "no" : restart;
}

Asked asked_of(const ContainerSpec &spec) {
  Asked asked;
  asked.user = spec.user;
  asked.restart = restart_or_no(spec.restart);
  asked.network = spec.network;
  asked.userns = spec.userns;
  asked.ports = texts(spec.ports);
  asked.volumes = texts(spec.mounts);
  asked.settings = settings_of(spec);
  asked.lists = lists_of(spec);
  if (spec.has_command) asked.command = spec.command;
  if (spec.has_entrypoint) asked.entrypoint = spec.entrypoint;
  for (const auto &entry : spec.env) asked.env.insert(entry.first);
  asked.labels = names(spec.labels);
  return asked;
}

std::optional<Asked> read_label(const Container &container) {
  const auto label = container.spec.labels.find(std::string(kSpecLabel));
  if (label == container.spec.labels.end()) return std::nullopt;
  const json value = json::parse(label->second, nullptr, false);
  if (!value.is_object()) return std::nullopt;
  try {
    Asked asked;
    asked.user = value.value("user", "");
    asked.restart = value.value("restart", "no");
    asked.network = value.value("network", "");
    asked.userns = value.value("userns", "");
    if (value.contains("command")) asked.command = value["command"].get<std::vector<std::string>>();
    if (value.contains("entrypoint")) asked.entrypoint = value["entrypoint"].get<std::vector<std::string>>();
    asked.ports = value.value("ports", std::vector<std::string>{});
    asked.volumes = value.value("volumes", std::vector<std::string>{});
    asked.env = value.value("env", std::set<std::string>{});
    asked.labels = value.value("labels", std::set<std::string>{});
    asked.settings = value.value("settings", Settings{});
    asked.lists = value.value("lists", Lists{});
    return asked;
  } catch (const json::exception &) {
    return std::nullopt;  // somebody else's label of that name
  }
}

std::string shown(const std::optional<std::vector<std::string>> &list) {
  return list ? joined(*list) : "(the image's)";
}
std::string shown(const std::string &text) {
  return text.empty() ? "(default)" : text;
}

class Differ {
 public:
  template <class T>
  void compare(std::string_view field, const T &before, const T &after) {
    if (before != after) add(field, shown(before), shown(after));
  }
  /// One difference for each item that comes or goes.
  void compare_sets(std::string_view field, const std::vector<std::string> &before,
                    const std::vector<std::string> &after) {
    for (const std::string &item : before)
      if (std::find(after.begin(), after.end(), item) == after.end()) add(field, item, "(none)");
    for (const std::string &item : after)
      if (std::find(before.begin(), before.end(), item) == before.end()) add(field, "(none)", item);
  }
  void add(std::string_view field, std::string before, std::string after) {
    found_.push_back({std::string(field), std::move(before), std::move(after)});
  }
  std::vector<Difference> take() { return std::move(found_); }

 private:
  std::vector<Difference> found_;
};

void compare_env(Differ &differ, const ContainerSpec &wanted, const Container &actual,
                 const std::set<std::string> &before) {
  for (const auto &[name, value] : wanted.env)
    if (!actual.has_env(name, value))
      differ.add("env." + name, before.contains(name) ? "(another value)" : "(not set)", "(set)");
  for (const std::string &name : before)
    if (!wanted.env.contains(name)) differ.add("env." + name, "(set)", "(not set)");
}

void compare_labels(Differ &differ, const ContainerSpec &wanted, const Container &actual,
                    const std::set<std::string> &before) {
  for (const auto &[name, value] : wanted.labels) {
    if (name.starts_with("pipe.")) continue;
    const auto found = actual.spec.labels.find(name);
    const bool there = found != actual.spec.labels.end();
    if (!there || found->second != value)
      differ.add("labels." + name, there ? found->second : "(none)", value);
  }
  for (const std::string &name : before)
    if (!wanted.labels.contains(name)) differ.add("labels." + name, "(set)", "(none)");
}

/// As it was asked for and now is, except for what `docker update` can change behind our back.
void compare_settings(Differ &differ, const Settings &before, const Settings &after, const Settings &facts) {
  const auto value = [](const Settings &settings, const std::string &name) {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string() : found->second;
  };
  std::set<std::string> all;
  for (const Settings *settings : {&before, &after})
    for (const auto &entry : *settings) all.insert(entry.first);
  for (const std::string &name : all) {
    std::string was = value(before, name);
    const bool can_change = name == "memory" || name == "cpus" || name == "pids";
    if (can_change && facts.contains(name)) was = value(facts, name);
    differ.compare(name, was, value(after, name));
  }
}

void compare_lists(Differ &differ, const Lists &before, const Lists &after) {
  std::set<std::string> all;
  for (const Lists *lists : {&before, &after})
    for (const auto &entry : *lists) all.insert(entry.first);
  const auto items = [](const Lists &lists, const std::string &name) {
    const auto found = lists.find(name);
    return found == lists.end() ? std::vector<std::string>{} : found->second;
  };
  for (const std::string &name : all) differ.compare_sets(name, items(before, name), items(after, name));
}

/// Whether the engine's list has what was asked for, in the ways that engines write it.
bool has_item(const std::string &field, const std::string &item, const std::vector<std::string> &facts) {
  const auto has = [&](std::string_view wanted) {
    return std::find(facts.begin(), facts.end(), wanted) != facts.end();
  };
  const auto begins = [&](std::string_view wanted, char end) {
    return std::any_of(facts.begin(), facts.end(), [&](const std::string &fact) {
      return fact == wanted || (fact.starts_with(wanted) && fact[wanted.size()] == end);
    });
  };
  if (has(item)) return true;
  if (field == "tmpfs") return begins(item.substr(0, item.find(':')), ':');  // Podman adds options of its own
  if (field == "networks" && item.find(':') == std::string::npos) return begins(item, ':');
  if (field == "security_opt" && item == "no-new-privileges")
    return has("no-new-privileges:true") || has("no-new-privileges=true");
  // Podman writes out which capabilities ALL were: those that a container has by default.
  if (field == "cap_drop" && item == "ALL") return has("CHOWN") && has("SETUID") && has("SYS_CHROOT");
  return false;
}

std::vector<Difference> against_label(const ContainerSpec &wanted, const Container &actual,
                                      const Asked &before) {
  Differ differ;
  const Asked after = asked_of(wanted);
  differ.compare("user", before.user, after.user);
  differ.compare("restart", actual.spec.restart, after.restart);  // a fact: `docker update` can change it
  differ.compare("network", before.network, after.network);
  differ.compare("userns", before.userns, after.userns);
  differ.compare("command", before.command, after.command);
  differ.compare("entrypoint", before.entrypoint, after.entrypoint);
  differ.compare_sets("ports", before.ports, after.ports);
  differ.compare_sets("volumes", before.volumes, after.volumes);
  compare_settings(differ, before.settings, after.settings, settings_of(actual.spec));
  compare_lists(differ, before.lists, after.lists);
  compare_env(differ, wanted, actual, before.env);
  compare_labels(differ, wanted, actual, before.labels);
  return differ.take();
}

std::vector<Difference> against_facts(const ContainerSpec &wanted, const Container &actual) {
  Differ differ;
  const ContainerSpec &facts = actual.spec;
  if (!wanted.user.empty()) differ.compare("user", facts.user, wanted.user);
  if (!wanted.restart.empty()) differ.compare("restart", facts.restart, wanted.restart);
  if (!wanted.network.empty()) differ.compare("network", facts.network, wanted.network);
  if (wanted.has_command) differ.compare("command", joined(facts.command), joined(wanted.command));
  if (wanted.has_entrypoint)
    differ.compare("entrypoint", joined(facts.entrypoint), joined(wanted.entrypoint));
  for (const PortBinding &port : wanted.ports)
    if (std::none_of(facts.ports.begin(), facts.ports.end(),
                     [&](const PortBinding &p) { return serves(port, p); }))
      differ.add("ports", "(none)", to_text(port));
  for (const Mount &mount : wanted.mounts)
    if (std::find(facts.mounts.begin(), facts.mounts.end(), mount) == facts.mounts.end())
      differ.add("volumes", "(none)", to_text(mount));
  const Settings found = settings_of(facts);
  for (const auto &[name, value] : settings_of(wanted)) {
    const auto fact = found.find(name);
    differ.compare(name, fact == found.end() ? std::string() : fact->second, value);
  }
  const Lists lists = lists_of(facts);
  for (const auto &[name, items] : lists_of(wanted)) {
    const auto fact = lists.find(name);
    for (const std::string &item : items)
      if (!has_item(name, item, fact == lists.end() ? std::vector<std::string>{} : fact->second))
        differ.add(name, "(none)", item);
  }
  compare_env(differ, wanted, actual, {});
  compare_labels(differ, wanted, actual, {});
  return differ.take();
}

}  // namespace

PortBinding parse_port(std::string_view text) {
  PortBinding port;
  std::string_view rest = text;
  std::string_view protocol = "tcp";
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    protocol = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
    if (protocol != "tcp" && protocol != "udp" && protocol != "sctp")
      reject("port", text, fmt::format("`{}` is no protocol", protocol), kPortForms);
  }
  const auto last = rest.rfind(':');
  const std::string_view inner = last == std::string_view::npos ? rest : rest.substr(last + 1);
  if (inner.find('-') != std::string_view::npos)
    reject("port", text, "ranges are not supported", "write one entry for each port");
  if (port_number(inner) == 0)
    reject("port", text, fmt::format("`{}` is no port (1 to 65535)", inner), kPortForms);
  port.container = fmt::format("{}/{}", port_number(inner), protocol);
  if (last == std::string_view::npos) return port;

  rest = rest.substr(0, last);
  const auto middle = rest.starts_with('[') ? rest.find(':', rest.find(']')) : rest.rfind(':');
  const std::string_view outer = middle == std::string_view::npos && !rest.starts_with('[') ? rest
                                 : middle == std::string_view::npos ? std::string_view{}
                                                                    : rest.substr(middle + 1);
  if (!any_port(std::string(outer)) && port_number(outer) == 0)
    reject("port", text, fmt::format("`{}` is no port (1 to 65535)", outer), kPortForms);
  port.host_port = any_port(std::string(outer)) ? "" : std::to_string(port_number(outer));
  if (middle == std::string_view::npos) return port;

  std::string_view address = rest.substr(0, middle);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  if (!is_address(std::string(address)))
    reject("port", text, fmt::format("`{}` is no IP address", address),
           address == "localhost" ? "write 127.0.0.1" : kPortForms);
  port.host_ip = address;
  return port;
}

Mount parse_mount(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.size() < 2 || parts.size() > 3)
    reject("volume", text, "it has no source or no target", kMountForms);
  Mount mount;
  if (parts.size() == 3) {
    if (parts[2] != "ro" && parts[2] != "rw")
      reject("volume", text, fmt::format("`{}` is neither ro nor rw", parts[2]), kMountForms);
    mount.read_only = parts[2] == "ro";
  }
  if (!parts[1].starts_with('/'))
    reject("volume", text, fmt::format("`{}` is no absolute path in the container", parts[1]), kMountForms);
  mount.target = plain_path(parts[1]);
  if (parts[0].starts_with('/')) {
    mount.type = "bind";
    mount.source = plain_path(parts[0]);
  } else if (is_volume_name(parts[0])) {
    mount.type = "volume";
    mount.source = parts[0];
  } else {
    reject("volume", text, fmt::format("`{}` is neither a volume's name nor an absolute path", parts[0]),
           kMountForms);
  }
  return mount;
}

NetworkJoin parse_network(std::string_view text) {
  constexpr std::string_view kForms = "expected NAME, or NAME:ALIAS,ALIAS";
  NetworkJoin network;
  const auto colon = text.find(':');
  network.name = text.substr(0, colon);
  if (!is_volume_name(network.name))
    reject("network", text, fmt::format("`{}` is no network's name", network.name), kForms);
  if (colon == std::string_view::npos) return network;
  std::string_view rest = text.substr(colon + 1);
  while (true) {
    const auto comma = rest.find(',');
    const std::string_view alias = rest.substr(0, comma);
    if (!is_volume_name(alias)) reject("network", text, fmt::format("`{}` is no host's name", alias), kForms);
    network.aliases.emplace_back(alias);
    if (comma == std::string_view::npos) return network;
    rest = rest.substr(comma + 1);
  }
}

HealthCheck parse_health(const std::map<std::string, std::string> &table) {
  HealthCheck health;
  const auto time = [](const std::string &key, const std::string &value) {
    static constexpr std::array<std::pair<std::string_view, std::int64_t>, 3> kUnits{
        {{"ms", 1}, {"s", 1000}, {"m", 60000}}};
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(value.data() + value.size() - end));
    for (const auto &[name, factor] : kUnits)
      if (error == std::errc{} && number > 0 && unit == name) return number * factor;
    throw sdk::Error(PIPE_E_INVALID, fmt::format("health: {} is no time: `{}`", key, value),
                     "expected such as 500ms, 10s or 1m");
  };
  for (const auto &[key, value] : table) {
    if (key == "command") {
      health.command = value;
    } else if (key == "interval") {
      health.interval = time(key, value);
    } else if (key == "timeout") {
      health.timeout = time(key, value);
    } else if (key == "start_period") {
      health.start_period = time(key, value);
    } else if (key == "retries") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), health.retries);
      if (error != std::errc{} || end != value.data() + value.size() || health.retries < 1)
        throw sdk::Error(PIPE_E_INVALID, fmt::format("health: retries is no number: `{}`", value));
    } else {
      throw sdk::Error(PIPE_E_INVALID, fmt::format("health: there is no `{}`", key),
                       "expected command, interval, timeout, start_period and retries");
    }
  }
  if (health.command.empty())
    throw sdk::Error(PIPE_E_INVALID, "health: it has no command",
                     "write what the container's shell is to run, or `none` to turn off the image's check");
  return health;
}

std::string parse_ulimit(const std::string &name, const std::string &text) {
  std::string result;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    std::int64_t number = part == "unlimited" ? -1 : 0;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    const bool is_number = error == std::errc{} && stop == part.data() + part.size() && number >= -1;
    if ((!is_number && part != "unlimited") || (begin > 0 && end != text.size()))
      throw sdk::Error(PIPE_E_INVALID, fmt::format("ulimit {}: `{}` is no limit", name, text),
                       "expected a number or `unlimited`, or two as soft:hard");
    result += (result.empty() ? "" : ":") + std::to_string(number);
    begin = end + 1;
  }
  return result;
}

std::string capability(std::string_view text) {
  std::string name(text);
  for (char &c : name)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return name.starts_with("CAP_") ? name.substr(4) : name;
}

std::map<std::string, std::string> read_env_file(const fs::path &file) {
  std::ifstream stream(file);
  if (!stream)
    throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("can't read the env file {}", file.string()),
                     "check the path and its permissions");
  std::map<std::string, std::string> env;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] == '#') continue;
    const auto equals = line.find('=');
    const std::string name = line.substr(start, equals == std::string::npos ? equals : equals - start);
    if (name.empty() || name.find_first_of(" \t\"'") != std::string::npos)
      throw sdk::Error(PIPE_E_INVALID, fmt::format("{}:{}: this is no variable", file.string(), number),
                       "expected NAME=value, without quotes or `export`");
    if (equals != std::string::npos)
      env[name] = line.substr(equals + 1);
    else if (const char *value = std::getenv(name.c_str()))
      env[name] = value;
  }
  return env;
}

std::string to_text(const PortBinding &port) {
  const bool v6 = port.host_ip.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}->{}", v6 ? "[" : "", port.host_ip.empty() ? "0.0.0.0" : port.host_ip,
                     v6 ? "]" : "", any_port(port.host_port) ? "(any)" : port.host_port, port.container);
}

std::string to_text(const Mount &mount) {
  return fmt::format("{}:{}{}", mount.source, mount.target, mount.read_only ? ":ro" : "");
}

std::string spec_label(const ContainerSpec &spec) {
  const Asked asked = asked_of(spec);
  json value = {{"user", asked.user},     {"restart", asked.restart}, {"network", asked.network},
                {"ports", asked.ports},   {"volumes", asked.volumes}, {"env", asked.env},
                {"labels", asked.labels}, {"userns", asked.userns}};
  if (!asked.settings.empty()) value["settings"] = asked.settings;
  if (!asked.lists.empty()) value["lists"] = asked.lists;
  if (asked.command) value["command"] = *asked.command;
  if (asked.entrypoint) value["entrypoint"] = *asked.entrypoint;
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::string> asked_restart(const Container &container) {
  const auto asked = read_label(container);
  return asked ? std::optional(asked->restart) : std::nullopt;
}

std::string replaces_label(const Replaced &replaced) {
  return json{{"restart", replaced.restart}, {"running", replaced.running}}.dump();
}

std::optional<Replaced> read_replaces_label(const Container &container) {
  const auto label = container.spec.labels.find(std::string(kReplacesLabel));
  if (label == container.spec.labels.end()) return std::nullopt;
  try {
    const json value = json::parse(label->second);
    return Replaced{value.at("restart").get<std::string>(), value.at("running").get<bool>()};
  } catch (const json::exception &) {
    return std::nullopt;
  }
}

std::vector<Difference> differences(const ContainerSpec &wanted, const Container &actual) {
  if (const auto before = read_label(actual)) return against_label(wanted, actual, *before);
  return against_facts(wanted, actual);
}

std::vector<PortBinding> missing_ports(const ContainerSpec &wanted, const Container &actual) {
  std::vector<PortBinding> missing;
  if (actual.spec.network == "host") return missing;
  const auto &bound = actual.bound_ports;
  for (const PortBinding &port : wanted.ports)
    if (std::none_of(bound.begin(), bound.end(),
                     [&](const PortBinding &p) { return !any_port(p.host_port) && serves(port, p); }))
      missing.push_back(port);
  return missing;
}

}  // namespace pipes::engine
