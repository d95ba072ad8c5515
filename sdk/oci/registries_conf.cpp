#include "registries_conf.hpp"

#include <fmt/core.h>
#include <toml++/toml.h>
#include <pipe/http/client.hpp>
#include <pipe/oci/place.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <set>
#include <system_error>

#include "file.hpp"
#include "json.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void bad(const std::string &file, const toml::source_region &where, std::string_view what) {
  throw sdk::Error(PIPE_E_INVALID,
                   fmt::format("{}:{}:{}: {}", file, where.begin.line, where.begin.column, what),
                   "see containers-registries.conf(5)");
}

/// A member of a table, which must have that type if it is there.
template <class T>
T member(const toml::table &table, std::string_view key, T fallback, const std::string &file) {
  const toml::node *node = table.get(key);
  if (node == nullptr) return fallback;
  const std::optional<T> value = node->value_exact<T>();
  if (!value) bad(file, node->source(), fmt::format("\"{}\" has the wrong type", key));
  return *value;
}

const toml::array *tables(const toml::table &table, std::string_view key, const std::string &file) {
  const toml::node *node = table.get(key);
  if (node == nullptr) return nullptr;
  const toml::array *array = node->as_array();
  if (array == nullptr || !array->is_homogeneous(toml::node_type::table))
    bad(file, node->source(), fmt::format("\"{}\" has to be written as [[{}]]", key, key));
  return array;
}

/// Whether `prefix` stands at the beginning of `name` and ends where a part of a name ends.
bool is_prefix(std::string_view prefix, std::string_view name) {
  if (prefix.starts_with("*.")) {
    const std::string_view host = name.substr(0, name.find_first_of("/:"));
    return host.ends_with(prefix.substr(1));
  }
  if (!name.starts_with(prefix)) return false;
  if (name.size() == prefix.size()) return true;
  // A colon ends a repository; after a host it begins the port, and that is another host.
  const bool is_host = prefix.find('/') == std::string_view::npos;
  return std::string_view(is_host ? "/" : "/:@").find(name[prefix.size()]) != std::string_view::npos;
}

/// `text` as a name whose first part is a host whatever it looks like.
Reference located(const std::string &text, const std::string &file) {
  const std::size_t slash = text.find('/');
  const std::string host = text.substr(0, slash);
  if (slash == std::string::npos)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} makes {} of a name, which is a host alone", file, text),
                     "see \"location\" in containers-registries.conf(5)");
  if (host.find_first_of(".:") != std::string::npos || host == "localhost") return Reference::parse(text);
  Reference reference = Reference::parse("localhost" + text.substr(slash));
  reference.registry = host;
  return reference;
}

/// `reference` with `prefix` replaced by `location`.
Reference moved(const Reference &reference, std::string_view prefix, std::string_view location,
                const std::string &file) {
  if (location.empty()) return reference;
  const std::string name = reference.str();
  const std::size_t size = prefix.starts_with("*.") ? reference.registry.size() : prefix.size();
  return located(std::string(location) + name.substr(size), file);
}

/// "host[:port][/path]" of a prefix or location.
std::string place_in(const toml::table &table, std::string_view key, const std::string &file) {
  std::string place = member<std::string>(table, key, {}, file);
  if (place.find("://") != std::string::npos)
    bad(file, table.get(key)->source(), fmt::format("\"{}\" is written without https://", key));
  while (place.ends_with('/')) place.pop_back();
  return place;
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

/// *.conf in a folder, in order of names.
std::vector<fs::path> drop_ins(const fs::path &folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".conf" && !entry->is_directory()) files.push_back(entry->path());
  std::ranges::sort(files);
  return files;
}

/// The bits of an IP address, most significant first; empty if it is a name.
std::string address_bits(std::string host) {
  if (host.starts_with('[')) host = host.substr(1, host.find(']') - 1);
  std::array<unsigned char, 16> bytes{};
  std::size_t size = 0;
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) size = 4;
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) size = 16;
  std::string bits;
  for (std::size_t i = 0; i < 8 * size; ++i) bits += (bytes[i / 8] >> (7 - i % 8) & 1) != 0 ? '1' : '0';
  return bits;
}

/// Whether the host[:port] is an address in the network "address/bits".
bool is_in_network(const std::string &host, const std::string &network) {
  const std::size_t slash = network.find('/');
  const std::string first = address_bits(network.substr(0, slash));
  const std::size_t colon = host.starts_with('[') ? host.find("]:") : host.find(':');
  const std::string address = address_bits(host.starts_with('[') ? host : host.substr(0, colon));
  std::size_t bits = 0;
  const char *end = network.data() + network.size();
  const auto [stop, error] = std::from_chars(network.data() + slash + 1, end, bits);
  return error == std::errc() && stop == end && !first.empty() && first.size() == address.size() &&
         bits <= first.size() && first.compare(0, bits, address, 0, bits) == 0;
}

std::vector<std::string> strings(const Json &object, const char *key, const std::string &file) {
  std::vector<std::string> list;
  const auto found = object.find(key);
  if (found == object.end()) return list;
  const auto is_text = [](const Json &item) { return item.is_string(); };
  if (!found->is_array() || !std::ranges::all_of(*found, is_text))
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{}: \"{}\" is no list of texts", file, key),
                     "dockerd --validate --config-file says more");
  for (const Json &item : *found) list.push_back(item.get<std::string>());
  return list;
}

/// The short name without tag and digest; empty where `text` names a registry, or none at all.
std::string short_name(std::string_view text) {
  const std::string_view first = text.substr(0, text.find('/'));
  const bool one_part = first.size() == text.size();
  if (text.empty() || first == "localhost" || (!one_part && first.find_first_of(".:") != std::string::npos))
    return {};
  text = text.substr(0, text.find('@'));
  const std::size_t slash = text.rfind('/');
  return std::string(text.substr(0, text.find(':', slash == std::string_view::npos ? 0 : slash)));
}

/// Mirrors that did not answer, of this process.
struct Silent {
  std::mutex mutex;
  std::set<std::string> hosts;
};
Silent &silent_mirrors() {
  static Silent *const silent = new Silent;  // for good: threads may end later than the program
  return *silent;
}

}  // namespace

struct RegistriesConf::Toml {
  static void short_names(const toml::table &root, const std::string &file, RegistriesConf &conf);
};

void RegistriesConf::Toml::short_names(const toml::table &root, const std::string &file,
                                       RegistriesConf &conf) {
  if (const toml::node *node = root.get("unqualified-search-registries")) {
    const toml::array *list = node->as_array();
    if (list == nullptr) bad(file, node->source(), "\"unqualified-search-registries\" is no list");
    conf.search_ = Said{{}, file};
    for (const toml::node &item : *list) {
      const std::optional<std::string> host = item.value_exact<std::string>();
      if (!host) bad(file, item.source(), "a registry to search has to be a text");
      conf.search_->what += (conf.search_->what.empty() ? "" : ", ") + *host;
    }
  }
  const toml::node *node = root.get("aliases");
  if (node == nullptr) return;
  const toml::table *aliases = node->as_table();
  if (aliases == nullptr) bad(file, node->source(), "\"aliases\" has to be written as [aliases]");
  for (const auto &[name, value] : *aliases) {
    const std::optional<std::string> full = value.value_exact<std::string>();
    if (!full) bad(file, value.source(), "an alias stands for a text");
    conf.aliases_[std::string(name.str())] = {*full, file};
  }
}

RegistriesConf RegistriesConf::parse(std::string_view text, const std::string &file) {
  RegistriesConf conf;
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error &error) {
    bad(file, error.source(), error.description());
  }
  // Version 1, which read [registries.search] and friends otherwise: not to be half understood.
  if (const toml::node *old = root.get("registries"))
    bad(file, old->source(), "[registries.…] is version 1 of this format; write [[registry]] instead");
  Toml::short_names(root, file, conf);
  const toml::array *registries = tables(root, "registry", file);
  if (registries == nullptr) return conf;
  for (const toml::node &node : *registries) {
    const toml::table &table = *node.as_table();
    Rule rule;
    rule.file = file;
    rule.location = place_in(table, "location", file);
    rule.prefix = place_in(table, "prefix", file);
    if (rule.prefix.empty()) rule.prefix = rule.location;
    rule.insecure = member(table, "insecure", false, file);
    rule.blocked = member(table, "blocked", false, file);
    if (rule.prefix.empty()) bad(file, table.source(), "a [[registry]] needs a prefix or a location");
    const bool by_digest_only = member(table, "mirror-by-digest-only", false, file);
    if (const toml::array *mirrors = tables(table, "mirror", file))
      for (const toml::node &entry : *mirrors) {
        const toml::table &mirror = *entry.as_table();
        const std::string when = member<std::string>(mirror, "pull-from-mirror", "all", file);
        if (when != "all" && when != "digest-only" && when != "tag-only")
          bad(file, mirror.source(), "pull-from-mirror is all, digest-only or tag-only");
        Mirror to{.location = place_in(mirror, "location", file),
                  .insecure = member(mirror, "insecure", false, file),
                  .with_digest = when != "tag-only",
                  .with_tag = when != "digest-only" && !by_digest_only};
        if (to.location.empty()) bad(file, mirror.source(), "a mirror needs a location");
        rule.mirrors.push_back(std::move(to));
      }
    if (conf.rule_of(rule.prefix) == nullptr) conf.rules_.push_back(std::move(rule));  // the first one counts
  }
  return conf;
}

void RegistriesConf::merge(RegistriesConf later) {
  for (Rule &rule : later.rules_) {
    std::erase_if(rules_, [&](const Rule &earlier) { return earlier.prefix == rule.prefix; });
    rules_.push_back(std::move(rule));
  }
  for (auto &[name, full] : later.aliases_) aliases_[name] = std::move(full);
  if (later.search_) search_ = std::move(later.search_);
}

void RegistriesConf::merge_docker(const fs::path &daemon_json) {
  std::optional<std::string> text;
  try {
    text = read_settings(daemon_json);
  } catch (const sdk::Error &) {  // root's own affair: it often is not readable for others
  }
  if (!text) return;
  const std::string file = daemon_json.string();
  const Json config = Json::parse(text->empty() ? "{}" : *text, nullptr, false);
  if (!config.is_object())
    throw sdk::Error(
        PIPE_E_INVALID, file + " is not a JSON object",
        "its registry-mirrors and insecure-registries count here as well; dockerd --validate says more");
  docker_insecure_ = strings(config, "insecure-registries", file);
  Rule hub{.prefix = "docker.io",
           .location = "docker.io",
           .file = file,
           .insecure = false,
           .blocked = false,
           .mirrors = {}};
  for (const std::string &url : strings(config, "registry-mirrors", file)) {
    const std::size_t host = url.find("://") + 3;
    if (host < 3 || url.find('@') != std::string::npos || !url.starts_with("http"))
      throw sdk::Error(PIPE_E_INVALID, file + ": an entry of registry-mirrors is no URL without a login",
                       "write it as https://host[:port]");
    Mirror mirror{.location = url.substr(host), .insecure = url.starts_with("http://")};
    while (mirror.location.ends_with('/')) mirror.location.pop_back();
    hub.mirrors.push_back(std::move(mirror));
  }
  if (!hub.mirrors.empty() && rule_of(hub.prefix) == nullptr) rules_.push_back(std::move(hub));
}

ConfigPlaces ConfigPlaces::of_this_machine() {
  ConfigPlaces places{.only = environment("CONTAINERS_REGISTRIES_CONF"),
                      .user = {},
                      .etc = "/etc/containers",
                      .usr = "/usr/share/containers",
                      .docker = {}};
  fs::path config = environment("XDG_CONFIG_HOME");
  if (const std::string home = environment("HOME"); config.empty() && !home.empty())
    config = fs::path(home) / ".config";
  if (!config.empty()) {
    places.user = config / "containers";
    places.docker.push_back(config / "docker/daemon.json");
  }
  places.docker.emplace_back("/etc/docker/daemon.json");
  return places;
}

RegistriesConf RegistriesConf::read(const ConfigPlaces &places) {
  RegistriesConf conf;
  const auto add = [&](const fs::path &file) {
    const std::optional<std::string> text = read_settings(file);
    if (text) conf.merge(parse(*text, file.string()));
    return text.has_value();
  };
  if (!places.only.empty()) {
    if (!add(places.only))
      throw sdk::Error(PIPE_E_INVALID, fmt::format("there is no file {}", places.only.string()),
                       "$CONTAINERS_REGISTRIES_CONF names it");
    return conf;
  }
  const bool users = !places.user.empty() && add(places.user / "registries.conf");
  if (!users && !add(places.etc / "registries.conf")) add(places.usr / "registries.conf");
  std::vector<fs::path> folders;
  if (!users) folders = {places.usr, places.etc};
  if (!places.user.empty()) folders.push_back(places.user);
  for (const fs::path &folder : folders)
    for (const fs::path &file : drop_ins(folder / "registries.conf.d")) add(file);
  for (const fs::path &file : places.docker)
    if (std::error_code error; fs::exists(file, error)) {
      conf.merge_docker(file);
      break;
    }
  return conf;
}

const RegistriesConf &RegistriesConf::load() {
  static const RegistriesConf *const conf = new RegistriesConf(read(ConfigPlaces::of_this_machine()));
  return *conf;
}

const RegistriesConf::Rule *RegistriesConf::rule_of(std::string_view prefix) const {
  const auto found = std::ranges::find(rules_, prefix, &Rule::prefix);
  return found == rules_.end() ? nullptr : &*found;
}

const RegistriesConf::Rule *RegistriesConf::longest(std::string_view name) const {
  const Rule *best = nullptr;
  for (const Rule &rule : rules_)
    if (is_prefix(rule.prefix, name) && (best == nullptr || rule.prefix.size() > best->prefix.size()))
      best = &rule;
  return best;
}

const RegistriesConf::Rule *RegistriesConf::rule_for(std::string_view name) const {
  const Rule *best = longest(name);
  if (best != nullptr && best->blocked)
    throw sdk::Error(PIPE_E_DENIED, fmt::format("{} is blocked by {}", best->prefix, best->file),
                     "take `blocked = true` out of that file, or use another registry");
  return best;
}

std::vector<Endpoint> RegistriesConf::to_pull(const Reference &reference) const {
  const Rule *rule = rule_for(reference.str());
  std::vector<Endpoint> endpoints;
  if (rule != nullptr)
    for (const Mirror &mirror : rule->mirrors) {
      if (!(reference.digest ? mirror.with_digest : mirror.with_tag)) continue;
      Reference there = moved(reference, rule->prefix, mirror.location, rule->file);
      const bool insecure = mirror.insecure || is_insecure_in_docker(there.registry);
      endpoints.push_back({.reference = std::move(there), .insecure = insecure, .mirror = true});
    }
  endpoints.push_back(to_push(reference));
  return endpoints;
}

Endpoint RegistriesConf::to_push(const Reference &reference) const {
  const Rule *rule = rule_for(reference.str());
  Endpoint endpoint{
      .reference = rule == nullptr ? reference : moved(reference, rule->prefix, rule->location, rule->file)};
  endpoint.insecure =
      (rule != nullptr && rule->insecure) || is_insecure_in_docker(endpoint.reference.registry);
  return endpoint;
}

bool RegistriesConf::is_insecure(const std::string &host) const {
  const Rule *rule = longest(host);
  return (rule != nullptr && rule->insecure) || is_insecure_in_docker(host);
}

bool RegistriesConf::is_insecure_in_docker(const std::string &host) const {
  return std::ranges::any_of(docker_insecure_, [&](const std::string &entry) {
    return entry == host || (entry.find('/') != std::string::npos && is_in_network(host, entry));
  });
}

std::optional<std::string> RegistriesConf::other_meaning(std::string_view text) const {
  const std::string name = short_name(text);
  if (name.empty()) return std::nullopt;
  const std::string hub = Reference::parse(name).name();
  if (const auto alias = aliases_.find(name); alias != aliases_.end() && !alias->second.what.empty()) {
    const auto &[full, file] = alias->second;
    if (Reference::parse(full).name() == hub) return std::nullopt;
    return fmt::format("{} ({})", full, file);
  }
  if (!search_ || search_->what.empty() || search_->what == "docker.io") return std::nullopt;
  return fmt::format("an image of {} ({})", search_->what, search_->file);
}

Place place_of(const Reference &reference, const RegistryOptions &options) {
  Endpoint endpoint = RegistriesConf::load().to_push(reference);
  RegistryOptions how = options_for(endpoint, options);
  return {.reference = std::move(endpoint.reference), .options = std::move(how)};
}

RegistryOptions options_for(const Endpoint &place, const RegistryOptions &step) {
  RegistryOptions options = place.mirror ? step.without_login() : step;
  options.insecure = place.insecure || (step.insecure && !place.mirror);
  if (place.mirror) options.client_cert = options.client_key = {};
  return options;
}

void report_mirror(const Endpoint &mirror, const sdk::Error &error, sdk::Observer &observer) {
  observer.log(sdk::Level::warning,
               fmt::format("the mirror {} is passed over: {}", mirror.reference.registry, error.message));
  if (dynamic_cast<const http::Unreachable *>(&error) == nullptr && error.status != PIPE_E_TIMEOUT) return;
  const std::lock_guard lock(silent_mirrors().mutex);
  silent_mirrors().hosts.insert(mirror.reference.registry);
}

bool skip_mirror(const Endpoint &mirror) {
  const std::lock_guard lock(silent_mirrors().mutex);
  return silent_mirrors().hosts.contains(mirror.reference.registry);
}

}  // namespace pipes::oci
