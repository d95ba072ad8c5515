#include <pipe/engine/spec.hpp>

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>

#include "any.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;

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

}  // namespace pipes::engine
