#pragma once
// Blobs that a power cut could still damage. For .cpp files of this folder only.
//
// Waiting for the disk at each blob would more than double the time of a pull, for content that its own name
// proves. So nobody waits: a blob is noted beside the store before it gets its name, the kernel writes it
// within half a minute, and the note goes. If a note is from before the machine's last start, the blob is
// hashed once, and removed where it came out damaged.
#include <pipe/oci/digest.hpp>

#include <filesystem>

namespace pipes::oci {

/// Called before the blob gets its name. File systems keep the order of the two: a name that survives has its
/// note.
void note_unsynced(const std::filesystem::path &store, const Digest &blob);

/// Looks after what is noted: what must have been written by now, or was noted before the machine started; or
/// `all`, and waits for the disk. Throws PIPE_E_IO.
void settle_unsynced(const std::filesystem::path &store, bool all = false);

}  // namespace pipes::oci
