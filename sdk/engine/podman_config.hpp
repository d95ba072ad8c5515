#pragma once
// What Podman's own defaults get wrong on a machine, most often inside a container or a CI runner, and the
// containers.conf that puts it right.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pipes::engine {

struct MachineFacts {
  bool crun = false, runc = false;  // installed; podman takes crun where it finds both
  bool hybrid_cgroups = false;      // cgroup v1 with controllers left in a v2 tree beside it: crun refuses
  bool root = false, may_raise_limits = false;  // CAP_SYS_RESOURCE
  std::uint64_t open_files = 0, processes = 0;  // hard limits
  std::uint64_t pid_max = 0;
};
MachineFacts machine_facts();

struct PodmanConfig {
  std::string text;                  // containers.conf; empty: the defaults do
  std::vector<std::string> reasons;  // one for each thing that is set, for people
};
PodmanConfig needed_config(const MachineFacts &);

/// Whether someone set Podman up here already ($CONTAINERS_CONF, /etc/containers, ~/.config/containers):
/// then it is theirs to decide.
bool podman_is_configured();

}  // namespace pipes::engine
