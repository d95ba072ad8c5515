// From configuration/configuration.go, the storage drivers and auth/token of distribution/distribution,
// v2.8.3 and v3.1.1; tests/unit/config holds the table against what their documentation lists.
#include "names.hpp"

#include <pipe/error.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace config {
namespace {

constexpr std::string_view kNoSwift =
    "Distribution 3 has no driver for it: stay with version 2, or move the images to s3 first";
constexpr std::string_view kNoSchema1 =
    "Distribution 3 serves no schema 1 manifests at all; push such images again with a current client";
constexpr std::string_view kNoReporting =
    "Distribution 3 reports by OpenTelemetry: OTEL_TRACES_EXPORTER in `env` of run";

using enum Kind;

constexpr Name of(std::string_view path, Kind kind = text) {
  return {.path = path, .kind = kind};
}
constexpr Name secret(std::string_view path) {
  return {.path = path, .secret = true};
}
constexpr Name since_3(std::string_view path, Kind kind = text) {
  return {.path = path, .kind = kind, .first = 3};
}
constexpr Name only_2(std::string_view path, Kind kind, std::string_view instead) {
  return {.path = path, .kind = kind, .last = 2, .instead = instead};
}
constexpr Name param(std::string_view path, Kind kind, std::string_view param) {
  return {.path = path, .kind = kind, .param = param};
}

}  // namespace

const std::vector<Name> &all_names() {
  static const std::vector<Name> names{
      param("log.accesslog.disabled", boolean, "log_access"),
      param("log.level", text, "log_level"),
      param("log.formatter", text, "log_formatter"),
      of("log.fields.*"),
      since_3("log.reportcaller", boolean),

      of("storage.filesystem.rootdirectory"),
      of("storage.filesystem.maxthreads", integer),
      of("storage.s3.bucket"),
      of("storage.s3.region"),
      of("storage.s3.regionendpoint"),
      since_3("storage.s3.forcepathstyle", boolean),
      secret("storage.s3.accesskey"),
      secret("storage.s3.secretkey"),
      of("storage.s3.rootdirectory"),
      of("storage.s3.encrypt", boolean),
      of("storage.s3.keyid"),
      of("storage.s3.secure", boolean),
      of("storage.s3.skipverify", boolean),
      of("storage.s3.v4auth", boolean),
      of("storage.s3.chunksize", integer),
      of("storage.s3.multipartcopychunksize", integer),
      of("storage.s3.multipartcopymaxconcurrency", integer),
      of("storage.s3.multipartcopythresholdsize", integer),
      of("storage.s3.storageclass"),
      of("storage.s3.objectacl"),
      of("storage.s3.useragent"),
      since_3("storage.s3.accelerate", boolean),
      since_3("storage.s3.usedualstack", boolean),
      since_3("storage.s3.usefipsendpoint", boolean),
      since_3("storage.s3.loglevel"),
      of("storage.azure.accountname"),
      secret("storage.azure.accountkey"),
      of("storage.azure.container"),
      of("storage.azure.realm"),
      {.path = "storage.azure.connectionstring", .first = 3, .secret = true},
      since_3("storage.azure.rootdirectory"),
      since_3("storage.azure.serviceurl"),
      since_3("storage.azure.max_retries", integer),
      since_3("storage.azure.retry_delay", duration),
      since_3("storage.azure.skipverify", boolean),
      since_3("storage.azure.credentials.type"),
      since_3("storage.azure.credentials.clientid"),
      since_3("storage.azure.credentials.tenantid"),
      {.path = "storage.azure.credentials.secret", .first = 3, .secret = true},
      of("storage.gcs.bucket"),
      of("storage.gcs.keyfile"),
      of("storage.gcs.rootdirectory"),
      of("storage.gcs.chunksize", integer),
      of("storage.gcs.maxconcurrency", integer),
      since_3("storage.gcs.useragent"),
      of("storage.gcs.credentials.type"),
      of("storage.gcs.credentials.project_id"),
      of("storage.gcs.credentials.private_key_id"),
      secret("storage.gcs.credentials.private_key"),
      of("storage.gcs.credentials.client_email"),
      of("storage.gcs.credentials.client_id"),
      of("storage.gcs.credentials.auth_uri"),
      of("storage.gcs.credentials.token_uri"),
      of("storage.gcs.credentials.auth_provider_x509_cert_url"),
      of("storage.gcs.credentials.client_x509_cert_url"),
      only_2("storage.oss.bucket", text, kNoSwift),
      only_2("storage.oss.region", text, kNoSwift),
      only_2("storage.oss.endpoint", text, kNoSwift),
      only_2("storage.oss.internal", boolean, kNoSwift),
      {.path = "storage.oss.accesskeyid", .last = 2, .secret = true, .instead = kNoSwift},
      {.path = "storage.oss.accesskeysecret", .last = 2, .secret = true, .instead = kNoSwift},
      only_2("storage.oss.encrypt", boolean, kNoSwift),
      only_2("storage.oss.secure", boolean, kNoSwift),
      only_2("storage.oss.chunksize", integer, kNoSwift),
      only_2("storage.oss.rootdirectory", text, kNoSwift),
      only_2("storage.swift.authurl", text, kNoSwift),
      only_2("storage.swift.username", text, kNoSwift),
      {.path = "storage.swift.password", .last = 2, .secret = true, .instead = kNoSwift},
      only_2("storage.swift.tenant", text, kNoSwift),
      only_2("storage.swift.tenantid", text, kNoSwift),
      only_2("storage.swift.domain", text, kNoSwift),
      only_2("storage.swift.domainid", text, kNoSwift),
      only_2("storage.swift.region", text, kNoSwift),
      only_2("storage.swift.container", text, kNoSwift),
      only_2("storage.swift.rootdirectory", text, kNoSwift),
      only_2("storage.swift.insecureskipverify", boolean, kNoSwift),
      only_2("storage.swift.chunksize", integer, kNoSwift),
      since_3("storage.tag.concurrencylimit", integer),
      param("storage.delete.enabled", boolean, "delete"),
      param("storage.redirect.disable", boolean, "redirect"),
      param("storage.cache.blobdescriptor", text, "cache"),
      since_3("storage.cache.blobdescriptorsize", integer),
      param("storage.maintenance.uploadpurging.enabled", boolean, "purge_uploads"),
      param("storage.maintenance.uploadpurging.age", duration, "purge_age"),
      param("storage.maintenance.uploadpurging.interval", duration, "purge_interval"),
      of("storage.maintenance.uploadpurging.dryrun", boolean),
      param("storage.maintenance.readonly.enabled", boolean, "readonly"),

      param("auth.htpasswd.realm", text, "realm"),
      param("auth.htpasswd.path", text, "htpasswd"),
      of("auth.token.realm"),
      of("auth.token.service"),
      of("auth.token.issuer"),
      of("auth.token.rootcertbundle"),
      since_3("auth.token.jwks"),
      since_3("auth.token.signingalgorithms", list),
      of("auth.token.autoredirect", boolean),
      since_3("auth.token.autoredirectpath"),

      param("http.addr", text, "addr"),
      of("http.net"),
      of("http.prefix"),
      param("http.host", text, "host"),
      {.path = "http.secret", .secret = true, .param = "http_secret"},
      param("http.relativeurls", boolean, "relativeurls"),
      of("http.draintimeout", duration),
      param("http.tls.certificate", text, "tls_certificate"),
      param("http.tls.key", text, "tls_key"),
      param("http.tls.clientcas", list, "tls_client_cas"),
      since_3("http.tls.clientauth"),
      param("http.tls.minimumtls", text, "tls_minimum"),
      of("http.tls.ciphersuites", list),
      of("http.tls.letsencrypt.cachefile"),
      of("http.tls.letsencrypt.email"),
      of("http.tls.letsencrypt.hosts", list),
      since_3("http.tls.letsencrypt.directoryurl"),
      param("http.headers.*", list, "headers"),
      param("http.debug.addr", text, "debug_addr"),
      param("http.debug.prometheus.enabled", boolean, "metrics"),
      of("http.debug.prometheus.path"),
      of("http.http2.disabled", boolean),
      since_3("http.h2c.enabled", boolean),

      param("proxy.remoteurl", text, "proxy_remoteurl"),
      param("proxy.username", text, "proxy_username"),
      {.path = "proxy.password", .secret = true, .param = "proxy_password"},
      {.path = "proxy.ttl", .kind = duration, .first = 3, .param = "proxy_ttl"},
      since_3("proxy.exec.command"),
      since_3("proxy.exec.lifetime", duration),
      since_3("proxy.cachewritetimeout", duration),

      {.path = "redis.addr", .last = 2, .param = "redis"},
      {.path = "redis.addrs", .kind = list, .first = 3, .param = "redis"},
      {.path = "redis.password", .secret = true, .param = "redis_password"},
      of("redis.db", integer),
      of("redis.dialtimeout", duration),
      of("redis.readtimeout", duration),
      of("redis.writetimeout", duration),
      only_2("redis.pool.maxidle", integer, "Distribution 3 calls it redis.maxidleconns"),
      only_2("redis.pool.maxactive", integer, "Distribution 3 calls it redis.poolsize"),
      only_2("redis.pool.idletimeout", duration, "Distribution 3 calls it redis.connmaxidletime"),
      since_3("redis.username"),
      since_3("redis.clientname"),
      since_3("redis.protocol", integer),
      since_3("redis.sentinelusername"),
      {.path = "redis.sentinelpassword", .first = 3, .secret = true},
      since_3("redis.mastername"),
      since_3("redis.maxretries", integer),
      since_3("redis.minretrybackoff", duration),
      since_3("redis.maxretrybackoff", duration),
      since_3("redis.contexttimeoutenabled", boolean),
      since_3("redis.poolfifo", boolean),
      since_3("redis.poolsize", integer),
      since_3("redis.pooltimeout", duration),
      since_3("redis.minidleconns", integer),
      since_3("redis.maxidleconns", integer),
      since_3("redis.maxactiveconns", integer),
      since_3("redis.connmaxidletime", duration),
      since_3("redis.connmaxlifetime", duration),
      since_3("redis.maxredirects", integer),
      since_3("redis.readonly", boolean),
      since_3("redis.routebylatency", boolean),
      since_3("redis.routerandomly", boolean),
      since_3("redis.disableidentity", boolean),
      since_3("redis.identitysuffix"),
      since_3("redis.unstableresp3", boolean),
      since_3("redis.tls.certificate"),
      since_3("redis.tls.key"),
      since_3("redis.tls.rootcas", list),

      param("health.storagedriver.enabled", boolean, "health_storage"),
      of("health.storagedriver.interval", duration),
      of("health.storagedriver.threshold", integer),

      of("notifications.events.includereferences", boolean),
      of("catalog.maxentries", integer),
      since_3("tags.maxtags", integer),
      of("validation.disabled", boolean),
      of("validation.enabled", boolean),
      of("validation.manifests.urls.allow", list),
      of("validation.manifests.urls.deny", list),
      since_3("validation.manifests.indexes.platforms"),
      of("policy.repository.classes", list),
      only_2("compatibility.schema1.enabled", boolean, kNoSchema1),
      only_2("compatibility.schema1.signingkeyfile", text, kNoSchema1),
      {.path = "reporting.bugsnag.apikey", .last = 2, .secret = true, .instead = kNoReporting},
      only_2("reporting.bugsnag.releasestage", text, kNoReporting),
      only_2("reporting.bugsnag.endpoint", text, kNoReporting),
      {.path = "reporting.newrelic.licensekey", .last = 2, .secret = true, .instead = kNoReporting},
      only_2("reporting.newrelic.name", text, kNoReporting),
      only_2("reporting.newrelic.verbose", boolean, kNoReporting),
  };
  return names;
}

namespace {

bool matches(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with(".*")) return pattern == path;
  const auto stem = pattern.substr(0, pattern.size() - 1);
  return path.starts_with(stem) && path.size() > stem.size();
}

/// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t corner = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = corner + (a[i] == b[j] ? 0 : 1);
      corner = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, change}));
    }
  }
  return row.back();
}

std::string_view last_part(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

/// The setting of this version whose name is the nearest one, or ends as this one does; nullptr if none is
/// near.
const Name *nearest(std::string_view path, int version) {
  const Name *best = nullptr;
  std::size_t least = std::max<std::size_t>(2, path.size() / 5) + 1;
  for (const Name &name : all_names()) {
    if (version < name.first || version > name.last) continue;
    const std::size_t far = distance(name.path, path);
    if (far < least) least = far, best = &name;
  }
  if (best) return best;
  const auto same_end = [&](const Name &name) {
    return version >= name.first && version <= name.last && last_part(name.path) == last_part(path);
  };
  const auto found = std::ranges::find_if(all_names(), same_end);
  return found == all_names().end() ? nullptr : &*found;
}

/// What a file can say and this step does not.
std::optional<std::string_view> not_offered(std::string_view path) {
  constexpr std::pair<std::string_view, std::string_view> kSections[] = {
      {"middleware", "this step writes no middleware: put CDNs and the like before the registry"},
      {"log.hooks", "this step writes no mail hooks: let what collects the log send mail"},
      {"auth.silly", "it lets everybody in; it is a toy of Distribution's own tests"},
      {"loglevel", "give the parameter `log_level`"},
      {"notifications.endpoints", "give the parameters `notifications` and `notification_headers`"},
      {"health.file", "give the parameter `health_files`"},
      {"health.http", "give the parameter `health_urls`"},
      {"health.tcp", "give the parameter `health_tcp`"},
      {"http.headers", "give the parameter `headers`"},
  };
  for (const auto &[section, why] : kSections)
    if (path == section || (path.starts_with(section) && path[section.size()] == '.')) return why;
  return std::nullopt;
}

}  // namespace

const Name *find_name(std::string_view path) {
  const auto found = std::ranges::find_if(all_names(), [&](const Name &n) { return matches(n.path, path); });
  return found == all_names().end() ? nullptr : &*found;
}

const Name &name_of(std::string_view path, int version) {
  const Name *name = find_name(path);
  if (name && version >= name->first && version <= name->last) return *name;
  std::string hint;
  if (name && !name->instead.empty()) {
    hint = name->instead;
  } else if (name) {
    hint = fmt::format("it is there since version {}", name->first);
  } else if (const auto why = not_offered(path)) {
    hint = *why;
  } else if (const Name *meant = nearest(path, version)) {
    hint = meant->param.empty()
               ? fmt::format("did you mean \"{}\"?", meant->path)
               : fmt::format("did you mean {}, the parameter `{}`?", meant->path, meant->param);
  }
  throw pipes::sdk::Error(PIPE_E_INVALID, fmt::format("Distribution {} has no setting \"{}\"", version, path),
                          hint);
}

bool is_secret(std::string_view path) {
  if (path.starts_with("notifications.endpoints[")) return path.find(".headers.") != std::string_view::npos;
  if (path == "version" || path.starts_with("health.")) return false;
  // "http.headers.Vary[0]" is a value of http.headers.*
  const Name *name = find_name(path.substr(0, path.find('[')));
  return !name || name->secret;
}

}  // namespace config
