#include "settings.hpp"

#include "names.hpp"
#include "yaml.hpp"

#include <pipe/error.hpp>

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

namespace config {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string &message, const std::string &hint = {}) {
  throw sdk::Error(PIPE_E_INVALID, message, hint);
}

/// As Go writes durations (time.ParseDuration).
std::string go_duration(sdk::Duration value) {
  const auto ms = value.count();
  if (ms != 0 && ms % 3'600'000 == 0) return fmt::format("{}h", ms / 3'600'000);
  if (ms != 0 && ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
  if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
  return fmt::format("{}ms", ms);
}

/// Whether Go's time.ParseDuration takes it: "1h30m", "10s", "250ms".
bool is_go_duration(std::string_view text) {
  if (text == "0") return true;
  if (text.empty()) return false;
  while (!text.empty()) {
    const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto unit = std::min(text.find_first_of("0123456789.", digits), text.size());
    const std::string_view name = text.substr(digits, unit - digits);
    constexpr std::string_view kUnits[] = {"ns", "us", "ms", "s", "m", "h"};
    if (digits == 0 || std::ranges::find(kUnits, name) == std::end(kUnits)) return false;
    text.remove_prefix(unit);
  }
  return true;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const auto end = text.find_first_of(", ");
    if (end != 0) items.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return items;
}

/// A value of `settings`, as the type that Distribution wants there: a text where it wants a number panics
/// it.
Json typed(const Name &name, std::string_view path, const std::string &text) {
  // The value may be a secret: errors do not show it.
  const auto wrong = [&](std::string_view wanted) {
    refuse(fmt::format("the setting \"{}\" is {}", path, wanted), "mend its value in `settings`");
  };
  switch (name.kind) {
    case Kind::text:
      return text;
    case Kind::boolean:
      if (text != "true" && text != "false") wrong("true or false");
      return text == "true";
    case Kind::integer: {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc{} || end != text.data() + text.size()) wrong("a whole number");
      return value;
    }
    case Kind::duration:
      if (!is_go_duration(text)) wrong("a duration, such as 10s, 5m or 1h30m");
      return text;
    case Kind::list:
      return split(text);
  }
  return text;
}

/// Collects settings by their paths, and makes one tree of them in the order of the table of names.
class Tree {
 public:
  explicit Tree(int version) : version_(version) {}

  /// A setting that this version lacks is refused, whoever asks for it.
  template <class T>
  void set(const std::string &path, const T &value) {
    values_.insert_or_assign({&name_of(path, version_), path}, Json(value));
  }
  bool has_section(std::string_view section) const {
    return std::ranges::any_of(values_, [&](const auto &v) { return v.first.second.starts_with(section); });
  }
  bool has(std::string_view path) const {
    return std::ranges::any_of(values_, [&](const auto &v) { return v.first.second == path; });
  }

  Json build() const {
    Json tree = Json::object();
    tree["version"] = 0.1;
    for (const auto &[key, value] : values_) place(tree, key.second, value, key.first->path.ends_with(".*"));
    return tree;
  }

 private:
  static void place(Json &tree, std::string_view path, const Json &value, bool any_word) {
    Json *at = &tree;
    // The last part of "http.headers.*" is a name of others: it may have dots in it.
    for (int depth = 0; !path.empty(); ++depth) {
      const auto dot = any_word && depth == 2 ? std::string_view::npos : path.find('.');
      at = &(*at)[std::string(path.substr(0, dot))];
      path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    }
    *at = value;
  }

  int version_;
  std::map<std::pair<const Name *, std::string>, Json> values_;  // by place in the table
};

bool is_url(std::string_view text) {
  return (text.starts_with("http://") || text.starts_with("https://")) && text.size() > 8;
}

void require_url(std::string_view param, const std::string &text) {
  if (!is_url(text))
    refuse(fmt::format("{} is no URL: {}", param, text), "it begins with http:// or https://");
  if (text.find('@') != std::string::npos && text.find('@') < text.find('/', 8))
    refuse(fmt::format("{} has a user or a password in it, which would be logged", param),
           "give them by parameters of their own");
}

/// ":5001", "0.0.0.0:5001" and "[::]:5001" are open to whoever reaches the machine or the container's
/// network.
bool on_all_addresses(std::string_view addr) {
  const std::string_view host = addr.substr(0, addr.rfind(':'));
  return host.empty() || host == "0.0.0.0" || host == "[::]" || host == "::";
}

std::string_view port_of(std::string_view addr) {
  const auto colon = addr.rfind(':');
  return colon == std::string_view::npos ? std::string_view{} : addr.substr(colon + 1);
}

void set_log(Tree &tree, const Params &p) {
  if (!p.log_access) tree.set("log.accesslog.disabled", true);
  tree.set("log.level", p.log_level);
  tree.set("log.formatter", p.log_formatter);
}

/// Settings of a driver without which it does not start.
std::vector<std::string> required(const std::string &driver, int version) {
  if (driver == "s3") return {"bucket", "region"};
  if (driver == "gcs") return {"bucket"};
  if (driver == "azure")
    return version == 2 ? std::vector<std::string>{"accountname", "accountkey", "container"}
                        : std::vector<std::string>{"container"};
  if (driver == "oss") return {"accesskeyid", "accesskeysecret", "region", "bucket"};
  if (driver == "swift") return {"authurl", "username", "password", "container"};
  return {};
}

void set_storage(Tree &tree, const Params &p) {
  // Content that has expired is deleted: a cache that may not delete grows for ever.
  tree.set("storage.delete.enabled", p.remove.value_or(p.proxy_remoteurl.has_value()));
  if (!p.redirect) tree.set("storage.redirect.disable", true);
  if (p.cache != "none") tree.set("storage.cache.blobdescriptor", p.cache);
  const std::string purging = "storage.maintenance.uploadpurging.";
  tree.set(purging + "enabled", p.purge_uploads);
  if (p.purge_uploads) {
    tree.set(purging + "age", go_duration(p.purge_age));
    tree.set(purging + "interval", go_duration(p.purge_interval));
    // A registry that is told one of the four and not all panics.
    if (!tree.has(purging + "dryrun")) tree.set(purging + "dryrun", false);
  }
  if (p.readonly) tree.set("storage.maintenance.readonly.enabled", true);
}

/// Sections of `storage` that are no drivers.
bool is_driver(std::string_view section) {
  constexpr std::string_view kOthers[] = {"tag", "delete", "redirect", "cache", "maintenance"};
  return std::ranges::find(kOthers, section) == std::end(kOthers);
}

void check_driver(const Tree &tree, const Params &p, int version) {
  if (version == 3 && (p.storage == "oss" || p.storage == "swift"))
    refuse(fmt::format("Distribution 3 has no storage driver {}", p.storage),
           "stay with version 2, or move the images to s3 first");
  for (const auto &[path, value] : p.settings) {
    if (!path.starts_with("storage.")) continue;
    const std::string driver = path.substr(8, path.find('.', 8) - 8);
    if (is_driver(driver) && driver != p.storage)
      refuse(fmt::format("\"{}\" is given, but `storage` is \"{}\"", path, p.storage),
             fmt::format("set `storage` to \"{}\", or leave the setting out", driver));
  }
  for (const std::string &name : required(p.storage, version))
    if (!tree.has(fmt::format("storage.{}.{}", p.storage, name)))
      refuse(fmt::format("storage \"{}\" needs a setting \"storage.{}.{}\"", p.storage, p.storage, name),
             "give it in `settings`; what is secret may be a secret there");
}

void set_auth(Tree &tree, const Params &p) {
  const bool token = tree.has_section("auth.token.");
  if (p.htpasswd && token)
    refuse("both `htpasswd` and settings of auth.token are given", "Distribution takes one of them");
  if (p.htpasswd) {
    if (!p.htpasswd->starts_with('/')) refuse("`htpasswd` is no absolute path: " + *p.htpasswd);
    tree.set("auth.htpasswd.realm", p.realm);
    tree.set("auth.htpasswd.path", *p.htpasswd);
  }
  if (!token) return;
  for (const char *name : {"realm", "service", "issuer"})
    if (!tree.has(fmt::format("auth.token.{}", name)))
      refuse(fmt::format("token authentication needs a setting \"auth.token.{}\"", name));
  if (!tree.has("auth.token.rootcertbundle") && !tree.has("auth.token.jwks"))
    refuse("token authentication needs a key to check tokens with",
           "give \"auth.token.rootcertbundle\" (or, since version 3, \"auth.token.jwks\") in `settings`");
}

void set_tls(Tree &tree, const Params &p, int version) {
  if (p.tls_certificate.has_value() != p.tls_key.has_value())
    refuse("a certificate and its key belong together", "give both `tls_certificate` and `tls_key`");
  const bool encrypt = tree.has_section("http.tls.letsencrypt.");
  if (!p.tls_certificate) {
    if (!encrypt && (p.tls_minimum || !p.tls_client_cas.empty() || tree.has_section("http.tls.")))
      refuse("settings of TLS are given, but no certificate", "give `tls_certificate` and `tls_key`");
  } else {
    if (encrypt) refuse("a certificate is given, and Let's Encrypt too", "leave one of them out");
    for (const auto &file : {*p.tls_certificate, *p.tls_key})
      if (!file.starts_with('/'))
        refuse(fmt::format("{} is no absolute path", file), "paths are the registry's own");
    tree.set("http.tls.certificate", *p.tls_certificate);
    tree.set("http.tls.key", *p.tls_key);
  }
  if (!p.tls_client_cas.empty()) tree.set("http.tls.clientcas", p.tls_client_cas);
  if (!p.tls_minimum) return;
  if (version == 3 && (*p.tls_minimum == "tls1.0" || *p.tls_minimum == "tls1.1"))
    refuse(fmt::format("Distribution 3 speaks no {}", *p.tls_minimum), "take tls1.2, its default, or tls1.3");
  tree.set("http.tls.minimumtls", *p.tls_minimum);
}

void set_debug(Tree &tree, const Params &p) {
  if (!p.debug_addr) {
    if (p.metrics || tree.has_section("http.debug."))
      refuse("metrics are served at the debug address, and none is given",
             "give `debug_addr`, such as 127.0.0.1:5001");
    return;
  }
  if (port_of(*p.debug_addr).empty())
    refuse("`debug_addr` is no address: " + *p.debug_addr, "write HOST:PORT");
  if (port_of(*p.debug_addr) == port_of(p.addr))
    refuse(fmt::format("the debug address has the registry's own port, {}", port_of(p.addr)),
           "give it another one");
  if (on_all_addresses(*p.debug_addr) && !p.debug_public)
    refuse(
        fmt::format(
            "the debug address {} is open to whoever reaches this registry's network: it tells command line, "
            "memory and health without a password",
            *p.debug_addr),
        "take 127.0.0.1, or say `debug_public = true` and publish the port to nobody");
  tree.set("http.debug.addr", *p.debug_addr);
  if (p.metrics) tree.set("http.debug.prometheus.enabled", true);
}

void set_http(Tree &tree, const Params &p, const std::string &secret) {
  if (port_of(p.addr).empty()) refuse("`addr` is no address: " + p.addr, "write [HOST]:PORT, such as :5000");
  tree.set("http.addr", p.addr);
  if (p.host) {
    require_url("`host`", *p.host);
    tree.set("http.host", *p.host);
  }
  tree.set("http.secret", p.http_secret ? p.http_secret->value : secret);
  if (p.relativeurls) tree.set("http.relativeurls", true);
  for (const auto &[name, value] : p.headers) tree.set("http.headers." + name, std::vector{value});
}

void set_proxy(Tree &tree, const Params &p) {
  const bool user = p.proxy_username && !p.proxy_username->empty();  // a variable that nobody set is empty
  if (!p.proxy_remoteurl) {
    if (user || p.proxy_password || p.proxy_ttl || tree.has_section("proxy."))
      refuse("settings of a pull-through cache are given, but not of what", "give `proxy_remoteurl`");
    return;
  }
  require_url("`proxy_remoteurl`", *p.proxy_remoteurl);
  if (p.proxy_remoteurl->find("//docker.io") != std::string::npos ||
      p.proxy_remoteurl->find("//hub.docker.com") != std::string::npos)
    refuse(fmt::format("{} is no registry: it is a web site", *p.proxy_remoteurl),
           "the registry of Docker Hub is https://registry-1.docker.io");
  if (user != p.proxy_password.has_value())
    refuse("a user and a password belong together",
           "give both `proxy_username` and `proxy_password`, or neither");
  if (p.readonly)
    refuse("a pull-through cache can't be read-only: it writes what it fetches", "leave `readonly` out");
  tree.set("proxy.remoteurl", *p.proxy_remoteurl);
  if (user) tree.set("proxy.username", *p.proxy_username);
  if (p.proxy_password) tree.set("proxy.password", p.proxy_password->value);
  if (p.proxy_ttl) tree.set("proxy.ttl", go_duration(*p.proxy_ttl));
}

void set_redis(Tree &tree, const Params &p, int version) {
  if (p.redis.empty()) {
    if (p.cache == "redis" || p.redis_password || tree.has_section("redis."))
      refuse("Redis is to be used, but no address of it is given", "give `redis`, such as [\"redis:6379\"]");
    return;
  }
  if (version == 2 && p.redis.size() > 1)
    refuse("Distribution 2 takes one Redis server", "clusters and sentinels need version 3");
  if (version == 2) {
    tree.set("redis.addr", p.redis.front());
  } else {
    tree.set("redis.addrs", p.redis);
  }
  if (p.redis_password) tree.set("redis.password", p.redis_password->value);
}

/// Health checks and endpoints are lists of sections, which the table of names does not have.
void add_lists(Json &tree, const Params &p) {
  const auto section = [&](const char *name, const std::vector<std::string> &values, auto make) {
    for (const std::string &value : values) tree["health"][name].push_back(make(value));
  };
  section("file", p.health_files, [](const std::string &file) {
    return Json{{"file", file}, {"interval", "10s"}};
  });
  section("http", p.health_urls, [](const std::string &uri) {
    require_url("`health_urls`", uri);
    return Json{{"uri", uri}, {"statuscode", 200}, {"timeout", "3s"}, {"interval", "10s"}, {"threshold", 3}};
  });
  section("tcp", p.health_tcp, [](const std::string &addr) {
    return Json{{"addr", addr}, {"timeout", "3s"}, {"interval", "10s"}, {"threshold", 3}};
  });
  for (const auto &[name, url] : p.notifications) {
    require_url("`notifications`", url);
    Json endpoint{{"name", name}, {"url", url}};
    for (const auto &[header, value] : p.notification_headers) endpoint["headers"][header] = {value.value};
    tree["notifications"]["endpoints"].push_back(std::move(endpoint));
  }
  if (p.notifications.empty() && !p.notification_headers.empty())
    refuse("`notification_headers` are given, but nobody to be notified", "give `notifications`");
}

void set_others(Tree &tree, const Params &p, int version) {
  for (const auto &[path, value] : p.settings) {
    const Name &name = name_of(path, version);
    if (!name.param.empty())
      refuse(fmt::format("the setting \"{}\" has a parameter of its own", path),
             fmt::format("give `{}`", name.param));
    tree.set(path, typed(name, path, value.value));
  }
}

void flatten(const YAML::Node &node, const std::string &path, Flat &flat) {
  if (node.IsMap()) {
    for (const auto &item : node) {
      const auto key = item.first.as<std::string>();
      flatten(item.second, path.empty() ? key : path + "." + key, flat);
    }
  } else if (node.IsSequence()) {
    for (std::size_t i = 0; i < node.size(); ++i) flatten(node[i], fmt::format("{}[{}]", path, i), flat);
  } else if (node.IsScalar()) {
    flat.emplace(path, node.Scalar());
  }
}

}  // namespace

std::string render(const Params &p, int version, const std::string &secret) {
  Tree tree(version);
  set_others(tree, p, version);  // first: the others look at what is there
  set_log(tree, p);
  set_storage(tree, p);
  check_driver(tree, p, version);
  set_auth(tree, p);
  set_http(tree, p, secret);
  set_tls(tree, p, version);
  set_debug(tree, p);
  set_proxy(tree, p);
  set_redis(tree, p, version);
  if (p.health_storage) tree.set("health.storagedriver.enabled", true);
  if (!p.health_storage && tree.has_section("health.storagedriver."))
    refuse("settings of the storage's health check are given, but it is off", "leave `health_storage` out");

  Json json = tree.build();
  // A driver without a setting is named all the same, and comes first.
  Json storage = Json::object();
  storage[p.storage] = json["storage"].contains(p.storage) ? json["storage"][p.storage] : Json::object();
  if (p.storage == "filesystem" && !storage[p.storage].contains("rootdirectory"))
    storage[p.storage]["rootdirectory"] = "/var/lib/registry";
  for (const auto &item : json["storage"].items())
    if (item.key() != p.storage) storage[item.key()] = item.value();
  json["storage"] = std::move(storage);
  add_lists(json, p);
  return to_yaml(json);
}

std::optional<Flat> read(const std::string &yaml) {
  Flat flat;
  try {
    flatten(YAML::Load(yaml), "", flat);
  } catch (const YAML::Exception &) {
    return std::nullopt;
  }
  return flat;
}

std::vector<Difference> compare(const Flat &before, const Flat &after) {
  std::set<std::string> paths;
  for (const Flat *flat : {&before, &after})
    for (const auto &[path, value] : *flat) paths.insert(path);

  std::vector<Difference> differences;
  for (const std::string &path : paths) {
    const auto from = before.find(path), to = after.find(path);
    const bool was = from != before.end(), is = to != after.end();
    if (was && is && from->second == to->second) continue;
    const bool hidden = is_secret(path);
    const auto shown = [&](bool there, const auto &at, std::string_view mask) {
      if (!there) return std::string();
      return hidden ? std::string(mask) : at->second;
    };
    differences.push_back(
        {path, shown(was, from, is ? "(another secret)" : "(a secret)"), shown(is, to, "(a secret)")});
  }
  return differences;
}

}  // namespace config
