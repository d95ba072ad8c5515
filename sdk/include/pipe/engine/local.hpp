#pragma once
// What this user keeps on this machine about a container of an engine's.
#include <pipe/engine/engine.hpp>
#include <pipe/engine/spec.hpp>
#include <pipe/error.hpp>

#include <map>
#include <string>
#include <vector>

namespace pipes::engine {

/// One run at a time brings a container to what it should be: held from construction to destruction, or to
/// the end of the process, however it ends. Waits for another one to end (says so once; throws
/// PIPE_E_CANCELLED). Where the state folder can't be written to there is no lock.
class ContainerLock {
 public:
  ContainerLock(const std::string &container, sdk::Observer &);
  ~ContainerLock();
  ContainerLock(const ContainerLock &) = delete;
  ContainerLock &operator=(const ContainerLock &) = delete;

 private:
  int fd_ = -1;
};

/// Values that a container reads from files: path in the container -> value.
using Secrets = std::map<std::string, std::string>;

/// Writes each into a file of its own (mode 0400) in a new folder of the state folder that only this user can
/// enter, and returns the read-only mounts that bring them to their paths. The files never change, so what a
/// container has can be told from them; no value and nothing made of one gets to the engine. They are given
/// to `uid` and `gid`, unless that is root, who reads them anyway. Throws PIPE_E_IO, PIPE_E_DENIED.
std::vector<Mount> write_secrets(const Engine &, const std::string &container, const Secrets &, unsigned uid,
                                 unsigned gid);
/// How the secrets of `actual` differ from `wanted`, by name.
std::vector<Difference> secret_differences(const Secrets &wanted, const Container &actual);
/// Removes the files of those mounts that write_secrets made.
void remove_secrets(const std::vector<Mount> &);
/// Removes what killed runs left of this container; `mounts` are those that it has.
void remove_stale_secrets(const Engine &, const std::string &container, const std::vector<Mount> &mounts);

}  // namespace pipes::engine
