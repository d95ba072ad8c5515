#pragma once
// Partial files of the store. For .cpp files of this folder only.
#include <pipe/oci/store.hpp>

#include <filesystem>
#include <optional>
#include <string>

#include "file.hpp"

namespace pipes::oci {

/// A partial file belongs to who holds its lock, and the kernel gives the lock back when a process dies
/// in whatever way. nullopt: another has it (or it is not there, and `flags` has no O_CREAT).
std::optional<UniqueFd> lock_partial(const std::filesystem::path &path, int flags);

struct BlobWriter::State {
  std::filesystem::path blobs, partial;
  std::optional<Descriptor> expected;
  std::string media_type;
  bool keep = false;
  UniqueFd fd;
  Hasher hasher;
  std::uint64_t written = 0;
  ~State();
};

}  // namespace pipes::oci
