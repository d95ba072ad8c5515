#include "credentials.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>
#include <pipe/oci/base64.hpp>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "credential_helper.hpp"
#include "file.hpp"
#include "json.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxConfig = 4u << 20;
constexpr std::string_view kHubKey = "https://index.docker.io/v1/";

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool is_hub(std::string_view host) {
  return host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io";
}

/// The names under which a file may hold this registry, most specific first: Podman files hold
/// repositories and their parents, Docker's Hub has a key of its own.
std::vector<std::string> keys_of(const std::string &registry, const std::string &repository) {
  std::vector<std::string> keys;
  std::string scope = registry + "/" + repository;
  for (std::size_t slash = scope.size(); slash > registry.size(); slash = scope.rfind('/')) {
    scope.resize(slash);
    if (scope.size() > registry.size()) keys.push_back(scope);
  }
  keys.push_back(registry);
  if (is_hub(registry))
    for (const std::string_view other :
         {kHubKey, std::string_view("docker.io"), std::string_view("index.docker.io")})
      keys.emplace_back(other);
  return keys;
}

/// The host of a key of old files, which hold URLs ("https://host/v1/"); empty if it is none of those.
std::string host_of_url_key(std::string_view key) {
  bool has_scheme = false;
  for (const std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) {
      key.remove_prefix(scheme.size());
      has_scheme = true;
    }
  const std::size_t slash = key.find('/');
  const std::string_view path = slash == std::string_view::npos ? std::string_view() : key.substr(slash);
  const bool api_path = path == "/" || path == "/v1" || path == "/v1/" || path == "/v2" || path == "/v2/";
  if (!has_scheme && !api_path) return {};
  return lower(key.substr(0, slash));
}

const Json *find_entry(const Json &map, const std::string &registry, const std::string &repository) {
  if (!map.is_object()) return nullptr;
  for (const std::string &key : keys_of(registry, repository))
    if (const auto found = map.find(key); found != map.end()) return &*found;
  for (const auto &[key, value] : map.items()) {
    const std::string host = host_of_url_key(key);
    if (!host.empty() && (host == lower(registry) || (is_hub(host) && is_hub(registry)))) return &value;
  }
  return nullptr;
}

std::string text_of(const Json &object, const char *key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Credentials from_auth_entry(const Json &entry, const std::string &place) {
  Credentials result;
  if (!entry.is_object()) return result;
  result.username = text_of(entry, "username");
  result.password = text_of(entry, "password");
  result.identity_token = text_of(entry, "identitytoken");
  result.registry_token = text_of(entry, "registrytoken");
  if (const std::string auth = text_of(entry, "auth"); !auth.empty()) {
    const std::optional<std::string> plain = decode_base64(auth);
    const std::size_t colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      result.problem = fmt::format("an \"auth\" in {} is not the base64 of user:password", place);
      return result;
    }
    result.username = plain->substr(0, colon);
    result.password = plain->substr(colon + 1);
    result.password.erase(std::min(result.password.find('\0'), result.password.size()));
  }
  result.source = place;
  return result;
}

Credentials from_helper(const std::string &helper, const char *setting, const std::string &place,
                        const std::string &registry, const sdk::Observer &observer) {
  const std::string server(is_hub(registry) ? kHubKey : std::string_view(registry));
  Credentials result = ask_credential_helper(helper, server, observer);
  result.source = fmt::format("docker-credential-{} ({} in {})", helper, setting, place);
  if (!result.problem.empty()) result.problem += fmt::format(" ({} in {})", setting, place);
  return result;
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::vector<fs::path> config_files() {
  std::vector<fs::path> files;
  const std::string home = environment("HOME");
  const auto add = [&](const std::string &folder, const char *file) {
    if (!folder.empty()) files.push_back(fs::path(folder) / file);
  };
  if (const std::string file = environment("REGISTRY_AUTH_FILE"); !file.empty()) files.emplace_back(file);
  const std::string docker = environment("DOCKER_CONFIG");
  add(docker.empty() ? home : docker, docker.empty() ? ".docker/config.json" : "config.json");
  // Under su, sudo and cron there is none, and Podman keeps it here (containers-auth.json(5)).
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  add(runtime.empty() ? fmt::format("/run/containers/{}", ::getuid()) : runtime + "/containers", "auth.json");
  const std::string config = environment("XDG_CONFIG_HOME");
  add(config.empty() ? home : config,
      config.empty() ? ".config/containers/auth.json" : "containers/auth.json");
  return files;
}

Credentials find_in_file(const fs::path &file, const std::string &registry, const std::string &repository,
                         const sdk::Observer &observer) {
  try {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return {};
    return find_in_config(read_file(fd.get(), file, kMaxConfig), file.string(), registry, repository,
                          observer);
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    Credentials none;
    none.problem = error.message;
    return none;
  }
}

}  // namespace

Credentials find_in_config(std::string_view text, const std::string &place, const std::string &registry,
                           const std::string &repository, const sdk::Observer &observer) {
  Credentials none;
  const Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) {
    none.problem = place + " is not a JSON object";
    return none;
  }
  std::string problem;
  const auto ask = [&](const std::string &helper, const char *setting) {
    Credentials found = from_helper(helper, setting, place, registry, observer);
    if (problem.empty()) problem = found.problem;
    return found;
  };
  if (const auto helpers = config.find("credHelpers"); helpers != config.end()) {
    const Json *helper = find_entry(*helpers, registry, repository);
    if (helper != nullptr && helper->is_string() && !helper->get_ref<const std::string &>().empty())
      if (Credentials found = ask(helper->get<std::string>(), "credHelpers"); !found.empty()) return found;
  }
  if (const std::string store = text_of(config, "credsStore"); !store.empty() && problem.empty())
    if (Credentials found = ask(store, "credsStore"); !found.empty()) return found;
  if (const auto auths = config.find("auths"); auths != config.end())
    if (const Json *entry = find_entry(*auths, registry, repository)) {
      Credentials found = from_auth_entry(*entry, place);
      if (!found.empty()) return found;
      if (problem.empty()) problem = found.problem;
    }
  none.problem = problem;
  return none;
}

Credentials find_credentials(const std::string &registry, const std::string &repository,
                             const sdk::Observer &observer) {
  std::string problem;
  const auto usable = [&](const Credentials &found) {
    if (problem.empty()) problem = found.problem;
    return !found.empty();
  };
  std::vector<fs::path> files = config_files();
  if (!environment("REGISTRY_AUTH_FILE").empty()) {
    if (Credentials found = find_in_file(files.front(), registry, repository, observer); usable(found))
      return found;
    files.erase(files.begin());
  }
  if (const std::string json = environment("DOCKER_AUTH_CONFIG"); !json.empty())
    if (Credentials found = find_in_config(json, "$DOCKER_AUTH_CONFIG", registry, repository, observer);
        usable(found))
      return found;
  for (const fs::path &file : files)
    if (Credentials found = find_in_file(file, registry, repository, observer); usable(found)) return found;
  Credentials none;
  none.problem = problem;
  return none;
}

CredentialSource find_credential_source(const std::string &registry, const std::string &repository,
                                        const sdk::Observer &observer) {
  const Credentials found = find_credentials(registry, repository, observer);
  CredentialSource result{.source = {}, .username = {}, .kind = {}, .problem = found.problem};
  if (found.empty()) return result;
  result.source = found.source;
  result.username = found.username;
  result.kind = !found.registry_token.empty()   ? "registry token"
                : !found.identity_token.empty() ? "identity token"
                                                : "password";
  return result;
}

}  // namespace pipes::oci
