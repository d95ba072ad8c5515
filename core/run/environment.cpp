#include "core/run/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace pipes {
namespace {

using namespace std::string_view_literals;

constexpr std::array kNames{"HOME"sv, "USER"sv, "LOGNAME"sv, "SHELL"sv, "PATH"sv, "LANG"sv, "LANGUAGE"sv,
                            "TZ"sv, "TMPDIR"sv, "TERM"sv, "NO_COLOR"sv, "HOSTNAME"sv, "CI"sv,
                            "SOURCE_DATE_EPOCH"sv, "NETAVARK_FW"sv,
                            // Where the agents and the user's services are.
                            "SSH_AUTH_SOCK"sv, "DBUS_SESSION_BUS_ADDRESS"sv,
                            // Proxies, in both spellings that tools know.
                            "http_proxy"sv, "https_proxy"sv, "all_proxy"sv, "no_proxy"sv, "HTTP_PROXY"sv,
                            "HTTPS_PROXY"sv, "ALL_PROXY"sv, "NO_PROXY"sv,
                            // Sanitizers and loaders of whoever debugs a plugin.
                            "LD_LIBRARY_PATH"sv, "LD_PRELOAD"sv, "ASAN_OPTIONS"sv, "UBSAN_OPTIONS"sv,
                            "TSAN_OPTIONS"sv, "LSAN_OPTIONS"sv};
constexpr std::array kPrefixes{
    "LC_"sv, "XDG_"sv, "PIPE_"sv, "DOCKER_"sv, "CONTAINER_"sv, "CONTAINERS_"sv, "REGISTRY_AUTH_FILE"sv,
    "REGISTRIES_"sv, "BUILDAH_"sv, "STORAGE_"sv, "PODMAN_"sv, "SSL_CERT_"sv,
    // Where credential helpers of clouds and of `pass` find their login.
    "AWS_"sv, "AZURE_"sv, "CLOUDSDK_"sv, "GOOGLE_APPLICATION_"sv, "PASSWORD_STORE_"sv, "GNUPGHOME"sv};

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
