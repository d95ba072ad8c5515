// What containers share: networks and volumes of an engine.
#include <nlohmann/json.hpp>

#include "engine_state.hpp"
#include "messages.hpp"

namespace pipes::engine {

bool Engine::has_network(const std::string &name) {
  return state_
             ->send(state_->request("GET", "/networks/" + http::encode_component(name)),
                    fmt::format("looking for the network {}", name), true)
             .status != 404;
}

void Engine::create_network(const std::string &name, const std::map<std::string, std::string> &labels) {
  const nlohmann::json body = {
      {"Name", name}, {"CheckDuplicate", true}, {"Driver", "bridge"}, {"Labels", labels}};
  state_->send(state_->post("/networks/create", body.dump()), fmt::format("creating the network {}", name));
}

bool Engine::remove_network(const std::string &name) {
  const http::Request request = state_->request("DELETE", "/networks/" + http::encode_component(name));
  const http::Response answer = state_->client->send(request);
  if (is_success(answer.status) || answer.status == 404) return true;
  // Docker: 403 "has active endpoints"; Podman: 409 or 500 "network is being used".
  const std::string reason = error_text(answer.body);
  if (reason.find("active endpoints") != std::string::npos || reason.find("being used") != std::string::npos)
    return false;
  throw answer_error(answer.status, fmt::format("removing the network {}", name), reason);
}

void Engine::join_network(const std::string &id, const NetworkJoin &network) {
  const nlohmann::json body = {{"Container", id}, {"EndpointConfig", {{"Aliases", network.aliases}}}};
  state_->send(
      state_->post(fmt::format("/networks/{}/connect", http::encode_component(network.name)), body.dump()),
      fmt::format("joining the network {}", network.name));
}

bool Engine::has_volume(const std::string &name) {
  return state_
             ->send(state_->request("GET", "/volumes/" + http::encode_component(name)),
                    fmt::format("looking for the volume {}", name), true)
             .status != 404;
}

std::optional<std::string> Engine::volume_path(const std::string &name) {
  const auto answer = state_->send(state_->request("GET", "/volumes/" + http::encode_component(name)),
                                   fmt::format("looking for the volume {}", name), true);
  if (answer.status == 404) return std::nullopt;
  return text_member(answer.body, "Mountpoint");
}

void Engine::create_volume(const std::string &name, const std::map<std::string, std::string> &labels) {
  const nlohmann::json body = {{"Name", name}, {"Labels", labels}};
  state_->send(state_->post("/volumes/create", body.dump()), fmt::format("creating the volume {}", name));
}

void Engine::remove_volume(const std::string &name) {
  state_->send(state_->request("DELETE", "/volumes/" + http::encode_component(name)),
               fmt::format("removing the volume {}", name), true);
}

}  // namespace pipes::engine
