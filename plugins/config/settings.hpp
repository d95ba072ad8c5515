#pragma once
// From the parameters of the step to the text of Distribution's configuration file.
#include <pipe/types.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace config {

namespace sdk = pipes::sdk;

struct Params {
  sdk::Path path;
  std::optional<std::int64_t> version;
  std::optional<std::string> image;
  std::string owner;

  std::string storage;
  std::optional<bool> remove;  // the parameter `delete`
  bool redirect = true;
  std::string cache;
  bool readonly = false, purge_uploads = true;
  sdk::Duration purge_age{}, purge_interval{};

  std::optional<std::string> htpasswd;
  std::string realm;

  std::string addr;
  std::optional<std::string> host;
  std::optional<sdk::Secret> http_secret;
  bool relativeurls = false;
  std::map<std::string, std::string> headers;
  std::optional<std::string> tls_certificate, tls_key, tls_minimum;
  std::vector<std::string> tls_client_cas;
  std::optional<std::string> debug_addr;
  bool debug_public = false, metrics = false;

  std::optional<std::string> proxy_remoteurl, proxy_username;
  std::optional<sdk::Secret> proxy_password;
  std::optional<sdk::Duration> proxy_ttl;

  std::vector<std::string> redis;
  std::optional<sdk::Secret> redis_password;

  bool health_storage = true;
  std::vector<std::string> health_files, health_urls, health_tcp;
  std::map<std::string, std::string> notifications;
  std::map<std::string, sdk::Secret> notification_headers;

  std::string log_level, log_formatter;
  bool log_access = true;

  std::map<std::string, sdk::Secret> settings;
};

/// The configuration as YAML, for Distribution `version` (2 or 3). `secret` is http.secret, where the
/// parameters give none. Throws sdk::Error{PIPE_E_INVALID} for what that version does not have or would
/// refuse, and for parameters that do not go together.
std::string render(const Params &, int version, const std::string &secret);

/// A configuration file as paths and texts: "http.tls.clientcas[0]" -> "/certs/ca.pem". Nothing where it is
/// no YAML.
using Flat = std::map<std::string, std::string>;
std::optional<Flat> read(const std::string &yaml);

/// One setting that differs, for people: secrets are not in it. Empty: not set.
struct Difference {
  std::string path, before, after;
};
std::vector<Difference> compare(const Flat &before, const Flat &after);

}  // namespace config
