#pragma once
// The store for oneself, to take blobs away. For .cpp files of this folder only.
#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <chrono>

namespace pipes::oci {

/// While it lives nobody else has this store open: no blob is being fetched, read, or about to be named.
/// Who opens it meanwhile waits. docs/design/store.md says why.
class SoleUse {
 public:
  /// Waits for the others, `wait` at most. Throws PIPE_E_TIMEOUT if they take longer, PIPE_E_IO where the
  /// store can't be written to, PIPE_E_CANCELLED.
  SoleUse(Store &, std::chrono::milliseconds wait, sdk::Observer &);
  ~SoleUse();
  SoleUse(const SoleUse &) = delete;
  SoleUse &operator=(const SoleUse &) = delete;

 private:
  FileLock &lock_;
};

}  // namespace pipes::oci
