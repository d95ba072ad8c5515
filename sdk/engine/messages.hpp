#pragma once
// The Engine API's JSON, to and from our own types. Unknown members are ignored, absent and null ones are
// empty: engines differ in what they leave out (Docker 29: Config of an image, NetworkSettings.IPAddress).
#include <optional>
#include <pipe/engine/engine.hpp>
#include <pipe/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::engine {

/// The body of POST /containers/create.
std::string create_body(const ContainerSpec &);
/// Body of POST /containers/{id}/update.
std::string restart_body(const std::string &policy);
Container parse_container(std::string_view json);
std::vector<Container> parse_container_list(std::string_view json);
/// Of an answer to GET /info.
RegistrySettings parse_registry_settings(std::string_view json);
Image parse_image(std::string_view json);

/// The string member `name` of an object, or empty.
std::string text_member(std::string_view json, const char *name);

/// One message of a progress stream.
struct StreamMessage {
  std::string stream, status, id;
  std::optional<std::string> error;  // errorDetail.message, else error
};
StreamMessage parse_stream_message(std::string_view json);

/// What the body of a 4xx or 5xx says: its `message`, else its first printable line.
std::string error_text(std::string_view body);
/// The error for an answer other than 2xx: status and known causes decide kind and hint.
sdk::Error answer_error(int status, std::string_view what, std::string_view text);

}  // namespace pipes::engine
