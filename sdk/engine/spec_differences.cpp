// A container beside what is asked for, field by field.
#include <fmt/core.h>
#include <pipe/engine/spec.hpp>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "any.hpp"

namespace pipes::engine {

using nlohmann::json;

namespace {

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
