#pragma once
// A store that is gone when it is no longer needed.
#include <pipe/oci/store.hpp>

#include <filesystem>
#include <optional>

namespace pipes::oci {

/// In a folder of its own.
class TemporaryStore {
 public:
  /// In $TMPDIR, else in /var/tmp: an image may be large, and /tmp is memory on many machines.
  TemporaryStore();
  /// In `parent`, which is made where it is not there. Throws PIPE_E_IO.
  explicit TemporaryStore(const std::filesystem::path &parent);
  ~TemporaryStore();
  TemporaryStore(const TemporaryStore &) = delete;
  TemporaryStore &operator=(const TemporaryStore &) = delete;

  Store &operator*() { return *store_; }
  Store *operator->() { return &*store_; }
  /// For other files that shall go with it.
  const std::filesystem::path &folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::optional<Store> store_;
};

}  // namespace pipes::oci
