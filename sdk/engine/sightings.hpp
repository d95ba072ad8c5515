#pragma once
// What was seen of containers that podman on demand keeps. To ask Podman takes 90 ms, to see that the
// process which was seen then still runs takes none: so a second run with nothing to do need not start it.
// One file a container in $XDG_STATE_HOME/pipe/podman, readable by the caller only.
#include <optional>
#include <pipe/engine/engine.hpp>
#include <string>
#include <vector>

namespace pipes::engine {

struct Sighting {
  std::string podman;  // version and stamp of the program
  std::string version, api;
  std::string process;  // boot, pid and start of the container's first process
  Container container;  // env as hashes
};

/// Which process `pid` is: "<boot> <pid> <start>"; empty if it does not run (or is stopped or frozen).
std::string process_identity(std::int64_t pid);
/// Size and time of the podman program: another one may see things differently.
std::string podman_stamp();
/// SHA-256 of salt, name and value.
std::string env_hash(const std::string &salt, const std::string &name, const std::string &value);

std::string to_json(const Sighting &);
std::optional<Sighting> parse_sighting(const std::string &json);

/// A failure to write is none: the next run asks Podman.
void note(const Sighting &);
void forget(const std::string &container);
/// Those whose process still runs.
std::vector<Sighting> valid_sightings();

}  // namespace pipes::engine
