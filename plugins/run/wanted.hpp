#pragma once
// What the parameters of `run` ask for.
#include <pipe/engine/engine.hpp>
#include <pipe/engine/give.hpp>
#include <pipe/engine/local.hpp>
#include <pipe/oci/temporary_store.hpp>
#include <pipe/plugin.hpp>

#include <map>
#include <memory>
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
  std::vector<std::string> networks;
  std::map<std::string, std::string> labels;
  std::map<std::string, sdk::Secret> secrets;
  std::map<std::string, std::string> health, ulimits, sysctls, log;
  sdk::Bytes memory;
  double cpus = 0;
  std::int64_t pids = 0;
  bool read_only = false, init = false;
  std::vector<std::string> tmpfs, cap_add, cap_drop, security_opt, extra_hosts, devices;
  std::string hostname;
  sdk::Duration stop_timeout{};
  std::string pull = "missing";
  std::string ready;
  sdk::Duration ready_timeout{};
  std::string recreate, engine;
};

/// The parameters as a container; `user` = "self" becomes the caller, as that engine sees him. Throws
/// PIPE_E_INVALID, PIPE_E_NOT_FOUND (an env file).
engine::ContainerSpec container_spec(const Params &, const engine::Version &);

/// Where the image comes from.
struct ImageSource {
  std::string name;                                  // under which the engine has it, or gets it
  std::shared_ptr<oci::TemporaryStore> temporary{};  // that `store` is
  std::optional<oci::Store> store;                   // has the image; nothing: the engine's own
  std::optional<oci::Descriptor> stored;
  std::optional<oci::Manifest> manifest;  // for this machine's platform
};
/// Whether a store is made where there is none.
enum class Purpose { look, use };
/// Throws PIPE_E_INVALID (no name), PIPE_E_NOT_FOUND (an archive that is not there).
ImageSource find_image(const std::string &name, Purpose);

/// Whether the registry has another image under this name than the store: its digest, or nothing.
std::optional<std::string> newer_in_registry(const std::string &name, const ImageSource &, sdk::Run &);

/// Brings the image from its registry into the store; what it is called there is remembered for undo.
ImageSource fetch_image(const std::string &name, sdk::Run &);

/// Takes that name out of the store again, if fetch_image put it there.
void forget_image(const std::string &name, sdk::Run &);

/// The secrets, by their paths in the container. Throws PIPE_E_INVALID.
engine::Secrets secrets_of(const Params &);

/// uid and gid in numbers, where they are numbers; names are those of the image, and mean nothing here.
struct Owner {
  std::optional<unsigned> uid, gid;
};
Owner owner_of(const std::string &user);

/// "What the engine's image is called, if it has it"; the ID, or nothing.
std::optional<std::string> id_in_engine(const ImageSource &, engine::Engine &);

}  // namespace run_step
