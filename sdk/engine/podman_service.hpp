#pragma once
// `podman system service` as a child, for as long as this object lives. Containers are children of their own
// conmon and outlive it.
#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <pipe/error.hpp>

namespace pipes::engine {

class PodmanService {
 public:
  /// Returns once the socket takes connections. Throws sdk::Error: PIPE_E_NOT_FOUND (no podman),
  /// PIPE_E_IO (it ended; with what it said), PIPE_E_TIMEOUT, PIPE_E_CANCELLED. Warns where Podman's
  /// defaults do not do here and it is given a containers.conf.
  static PodmanService start(sdk::Observer &);
  PodmanService(PodmanService &&) noexcept;
  PodmanService &operator=(PodmanService &&) = delete;
  /// Ends the process group: SIGTERM, and SIGKILL after three seconds.
  ~PodmanService();
  std::filesystem::path socket() const { return folder_ / "podman.sock"; }

 private:
  PodmanService(std::filesystem::path folder, pid_t pid) : folder_(std::move(folder)), pid_(pid) {}
  bool ended();
  std::filesystem::path folder_;  // ours alone: the socket, and what podman says
  pid_t pid_ = -1;
};

}  // namespace pipes::engine
