#pragma once
// Who else has the data of a container: volumes and host folders outlive containers, and can be in several.
#include <pipe/engine/engine.hpp>

#include <string>
#include <vector>

namespace pipes::engine {

/// The containers, running or not, that have this data or a part of it.
std::vector<Container> containers_with(Engine &, const Mount &data);

/// Of those, the names of the ones besides `name` that run and write to it at the same path: most likely the
/// same program on the same storage. Nothing for what is only read, and for a host path that is no folder.
std::vector<std::string> writers_beside(Engine &, const std::string &name, const Mount &data);

}  // namespace pipes::engine
