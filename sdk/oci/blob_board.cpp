#include "blob_board.hpp"

#include <chrono>

namespace pipes::oci {

BlobBoard::Answer BlobBoard::ask(const Digest &blob, const std::string &repository,
                                 const sdk::Observer &observer) {
  using namespace std::chrono_literals;
  std::unique_lock lock(mutex_);
  Entry &entry = blobs_[blob];
  while (entry.taken && !entry.repositories.contains(repository)) {
    changed_.wait_for(lock, 200ms);
    observer.check_cancelled();
  }
  if (entry.repositories.contains(repository)) return {.here = true, .elsewhere = {}};
  entry.taken = true;
  return {.here = false, .elsewhere = entry.repositories.empty() ? "" : *entry.repositories.begin()};
}

void BlobBoard::settle(const Digest &blob, const std::string &repository, bool there) {
  {
    const std::lock_guard lock(mutex_);
    Entry &entry = blobs_[blob];
    entry.taken = false;
    if (there) entry.repositories.insert(repository);
  }
  changed_.notify_all();
}

}  // namespace pipes::oci
