#pragma once
// Which files each engine reads about registries, and what it wants in them. (daemon.json: daemon_json.hpp.)
#include "edits.hpp"

#include <vector>

namespace trust {

struct Files {
  std::string_view engine;  // docker, podman, containerd
  std::string_view socket;  // below the root, where only some users reach it; empty: everybody has it
  /// Whether the engine seems to be installed.
  bool (*is_there)(const Places &);
  /// What would have to be written. What can't be done here is PIPE_E_INVALID, with what to do by hand.
  std::vector<Edit> (*edits)(sdk::Run &, const Places &, const Wanted &);
  /// All that `edits` may ever have written.
  std::vector<fs::path> (*all)(const Places &, const Wanted &);
  /// What it wrote where a registry was insecure; nullptr: that is in daemon.json.
  Insecure (*insecure)(const Places &, const std::string &registry);
};

extern const Files kDocker, kPodman, kContainerd;

}  // namespace trust
