#pragma once
// What the parameters of `run` ask for.
#include <pipe/engine/engine.hpp>
#include <pipe/engine/give.hpp>
#include <pipe/plugin.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace run_step {

namespace engine = pipes::engine;
namespace oci = pipes::oci;
namespace sdk = pipes::sdk;

struct Params {
  std::string image, name;
  std::vector<std::string> ports, volumes;
  std::map<std::string, sdk::Secret> env;
  std::vector<sdk::Path> env_file;
  std::string user;
  std::optional<std::string> restart;
  std::optional<std::vector<std::string>> command, entrypoint;
  std::string network;
  std::map<std::string, std::string> labels;
  std::string ready;
  sdk::Duration ready_timeout{};
  std::string recreate, engine;
};

/// The parameters as a container; `user` = "self" becomes the caller, as that engine sees him. Throws
/// PIPE_E_INVALID, PIPE_E_NOT_FOUND (an env file).
engine::ContainerSpec container_spec(const Params &, const engine::Version &);

/// Where the image comes from.
struct ImageSource {
  std::string name;                 // under which the engine has it, or gets it
  std::optional<oci::Store> store;  // has the image; nothing: the engine's own
  std::optional<oci::Descriptor> stored;
  std::optional<oci::Manifest> manifest;  // for this machine's platform
};
/// Throws PIPE_E_INVALID (no name), PIPE_E_NOT_FOUND (an archive that is not there).
ImageSource find_image(const std::string &name);

/// "What the engine's image is called, if it has it"; the ID, or nothing.
std::optional<std::string> id_in_engine(const ImageSource &, engine::Engine &);

}  // namespace run_step
