#include <pipe/oci/engine_login.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

#include <pipe/oci/base64.hpp>
#include "credentials.hpp"

namespace pipes::oci {

std::string engine_login(const std::string &registry, const std::string &repository, const RegistryOptions &,
                         const sdk::Observer &observer) {
  const Credentials found = find_credentials(registry, repository, observer);
  nlohmann::json login = nlohmann::json::object();
  // Docker drops a login whose address is not the one it talks to; Docker Hub's has a name of its own.
  if (!found.empty())
    login["serveraddress"] = registry == "docker.io" ? "https://index.docker.io/v1/" : registry;
  if (!found.identity_token.empty()) {
    login["identitytoken"] = found.identity_token;
  } else if (!found.registry_token.empty()) {
    login["registrytoken"] = found.registry_token;
  } else if (!found.username.empty()) {
    login["username"] = found.username;
    login["password"] = found.password;
  }
  std::string text;
  try {
    text = encode_base64(login.dump());
  } catch (const nlohmann::json::type_error &) {
    throw sdk::Error(PIPE_E_INVALID,
                     "the login for " + registry + " is no UTF-8, which the engine's API speaks",
                     "log in anew with docker login or podman login");
  }
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

}  // namespace pipes::oci
