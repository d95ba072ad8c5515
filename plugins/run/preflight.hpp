#pragma once
// What is seen to before anything of the engine's is touched.
#include "wanted.hpp"

namespace run_step {

/// Whether a port with that address is published on all of them.
bool any_address(const std::string &ip);

/// Throws PIPE_E_INVALID if a published port is taken, with its owner and a port that is free. What `current`
/// (nullptr: none) holds itself does not count.
void check_ports(engine::Engine &, const engine::ContainerSpec &wanted, const engine::Container *current);

/// Makes missing host folders (given to the container's user) and named volumes, and remembers them for undo.
/// Throws PIPE_E_NOT_FOUND (a path that is only read), PIPE_E_IO, PIPE_E_DENIED.
void make_mounts(sdk::Run &, engine::Engine &, const engine::ContainerSpec &wanted);

/// Makes missing networks, and remembers them for undo.
void make_networks(sdk::Run &, engine::Engine &, const engine::ContainerSpec &wanted);
/// Those that an engine does not come with.
std::vector<std::string> networks_of(const engine::ContainerSpec &wanted);
std::string network_key(const std::string &name);

/// The key under which a mount that was made is remembered.
std::string mount_key(const engine::Mount &);

}  // namespace run_step
