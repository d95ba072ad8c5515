#include "registries_conf.hpp"

#include <fmt/core.h>
#include <toml++/toml.h>
#include <pipe/error.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "file.hpp"

namespace pipes::oci {
namespace {

constexpr std::size_t kMaxFile = 4u << 20;

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

/// `reference` with `prefix` replaced by `location`.
Reference moved(const Reference &reference, std::string_view prefix, std::string_view location) {
  if (location.empty()) return reference;
  const std::string name = reference.str();
  const std::size_t size = prefix.starts_with("*.") ? reference.registry.size() : prefix.size();
  return Reference::parse(std::string(location) + name.substr(size));
}

}  // namespace

RegistriesConf RegistriesConf::parse(std::string_view text, const std::string &file) {
  RegistriesConf conf;
  conf.file_ = file;
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error &error) {
    bad(file, error.source(), error.description());
  }
  // Version 1, which read [registries.search] and friends otherwise: not to be half understood.
  if (const toml::node *old = root.get("registries"))
    bad(file, old->source(), "[registries.…] is version 1 of this format; write [[registry]] instead");
  const toml::array *registries = tables(root, "registry", file);
  if (registries == nullptr) return conf;
  for (const toml::node &node : *registries) {
    const toml::table &table = *node.as_table();
    Rule rule;
    rule.location = member<std::string>(table, "location", {}, file);
    rule.prefix = member<std::string>(table, "prefix", rule.location, file);
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
        Mirror to{.location = member<std::string>(mirror, "location", {}, file),
                  .insecure = member(mirror, "insecure", false, file),
                  .with_digest = when != "tag-only",
                  .with_tag = when != "digest-only" && !by_digest_only};
        if (to.location.empty()) bad(file, mirror.source(), "a mirror needs a location");
        rule.mirrors.push_back(std::move(to));
      }
    conf.rules_.push_back(std::move(rule));
  }
  return conf;
}

RegistriesConf RegistriesConf::load() {
  const char *path = std::getenv("CONTAINERS_REGISTRIES_CONF");
  if (path == nullptr || *path == '\0') return {};
  const UniqueFd fd = open_regular(path);
  if (!fd) throw_io("read", path, ENOENT);
  return parse(read_file(fd.get(), path, kMaxFile), path);
}

const RegistriesConf::Rule *RegistriesConf::rule_for(const Reference &reference) const {
  const std::string name = reference.str();
  const Rule *best = nullptr;
  for (const Rule &rule : rules_)
    if (is_prefix(rule.prefix, name) && (best == nullptr || rule.prefix.size() > best->prefix.size()))
      best = &rule;
  if (best != nullptr && best->blocked)
    throw sdk::Error(PIPE_E_DENIED, fmt::format("{} is blocked by {}", best->prefix, file_),
                     "take blocked = true out of that file, or use another registry");
  return best;
}

std::vector<Endpoint> RegistriesConf::to_pull(const Reference &reference) const {
  const Rule *rule = rule_for(reference);
  if (rule == nullptr) return {{.reference = reference}};
  std::vector<Endpoint> endpoints;
  for (const Mirror &mirror : rule->mirrors)
    if (reference.digest ? mirror.with_digest : mirror.with_tag)
      endpoints.push_back({.reference = moved(reference, rule->prefix, mirror.location),
                           .insecure = mirror.insecure,
                           .mirror = true});
  endpoints.push_back(to_push(reference));
  return endpoints;
}

Endpoint RegistriesConf::to_push(const Reference &reference) const {
  const Rule *rule = rule_for(reference);
  if (rule == nullptr) return {.reference = reference};
  return {.reference = moved(reference, rule->prefix, rule->location), .insecure = rule->insecure};
}

}  // namespace pipes::oci
