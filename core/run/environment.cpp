#include "core/run/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace pipes {
namespace {

constexpr std::array kNames{
    std::string_view("HOME"), std::string_view("USER"), std::string_view("LOGNAME"),
    std::string_view("SHELL"), std::string_view("PATH"), std::string_view("LANG"),
    std::string_view("LANGUAGE"), std::string_view("TZ"), std::string_view("TMPDIR"),
    std::string_view("TERM"), std::string_view("NO_COLOR"), std::string_view("HOSTNAME"),
    std::string_view("CI"), std::string_view("SOURCE_DATE_EPOCH"), std::string_view("NETAVARK_FW"),
    // Where the agents and the user's services are.
    std::string_view("SSH_AUTH_SOCK"), std::string_view("DBUS_SESSION_BUS_ADDRESS"),
    // Proxies, in both spellings that tools know.
    std::string_view("http_proxy"), std::string_view("https_proxy"), std::string_view("all_proxy"),
    std::string_view("no_proxy"), std::string_view("HTTP_PROXY"), std::string_view("HTTPS_PROXY"),
    std::string_view("ALL_PROXY"), std::string_view("NO_PROXY"),
    // Sanitizers and loaders of whoever debugs a plugin.
    std::string_view("LD_LIBRARY_PATH"), std::string_view("LD_PRELOAD"), std::string_view("ASAN_OPTIONS"),
    std::string_view("UBSAN_OPTIONS"), std::string_view("TSAN_OPTIONS"), std::string_view("LSAN_OPTIONS")};
constexpr std::array kPrefixes{std::string_view("LC_"),
                               std::string_view("XDG_"),
                               std::string_view("PIPE_"),
                               std::string_view("DOCKER_"),
                               std::string_view("CONTAINER_"),
                               std::string_view("CONTAINERS_"),
                               std::string_view("REGISTRY_AUTH_FILE"),
                               std::string_view("REGISTRIES_"),
                               std::string_view("BUILDAH_"),
                               std::string_view("STORAGE_"),
                               std::string_view("PODMAN_"),
                               std::string_view("SSL_CERT_")};

std::string_view name_of(const char *entry) {
  const std::string_view text(entry);
  return text.substr(0, text.find('='));
}

}  // namespace

bool reaches_steps(std::string_view variable) {
  return std::ranges::find(kNames, variable) != kNames.end() ||
         std::ranges::any_of(kPrefixes, [&](std::string_view p) { return variable.starts_with(p); });
}

void keep_only_what_steps_get() {
  std::vector<std::string> drop;
  for (char **entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!reaches_steps(name_of(*entry))) drop.emplace_back(name_of(*entry));
  }
  for (const std::string &name : drop) forget_variable(name);
}

void forget_variable(const std::string &name) {
  if (char *value = ::getenv(name.c_str())) ::explicit_bzero(value, std::strlen(value));
  ::unsetenv(name.c_str());
}

std::vector<std::string> variables_holding(const std::vector<std::string> &values) {
  std::vector<std::string> names;
  if (values.empty()) return names;
  for (char **entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry), name = name_of(*entry);
    if (name.size() == text.size()) continue;
    const std::string_view value = text.substr(name.size() + 1);
    if (std::ranges::any_of(
            values, [&](const std::string &s) { return !s.empty() && value.find(s) != value.npos; })) {
      names.emplace_back(name);
    }
  }
  return names;
}

}  // namespace pipes
