#pragma once
// dockerd as a process: which one runs here, what it was told, and telling it to read daemon.json again.
#include "daemon_json.hpp"
#include "edits.hpp"

#include <sys/types.h>

namespace trust {

struct Dockerd {
  pid_t pid = 0;
  std::vector<std::string> arguments{};
  /// What follows `--name` or `--name=`.
  std::optional<std::string> option(std::string_view name) const;
};

/// The one whose pid is in docker.pid below the root; nullopt where none runs.
std::optional<Dockerd> running_dockerd(const Places &);

/// What `dockerd --validate` has against a configuration; empty where it has nothing, can't do that (before
/// 23.0), or is not installed.
std::string validation_problem(const std::string &daemon_json);

/// SIGHUP: it reads daemon.json again.
void reload(const Dockerd &);

/// The same, then waits until the engine says that it has the settings, or has them no more (GET /info).
/// Throws PIPE_E_MISMATCH where it does not, PIPE_E_TRANSIENT where it is gone.
enum class Expect { present, absent };
void reload(const Dockerd &, const std::string &engine, const std::vector<Setting> &, Expect,
            sdk::Observer &);

}  // namespace trust
