#pragma once
// The names of a layout: found without reading index.json for each, and written many at once. For .cpp files
// of this folder only.
#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "file.hpp"
#include "layout_index.hpp"

namespace pipes::oci {

/// What one index.json says. Any thread.
class NameTable {
 public:
  /// `where` names it in errors.
  NameTable(const Json &index, std::string_view where);

  /// All entries, also those without a name. Throws PIPE_E_INVALID if one is broken.
  const std::vector<StoredImage> &images() const;
  /// The entry of exactly that name; null if there is none. Throws PIPE_E_INVALID if it is broken.
  const StoredImage *named(std::string_view name) const;
  /// The entry that a person means: by its digest, or by its name, or the one that containerd noted, however
  /// it is written. Of several the first, and rather one that has a name. Throws PIPE_E_INVALID if any entry
  /// is broken.
  const StoredImage *meant(std::string_view ref) const;

 private:
  void understand() const;

  using Places = std::unordered_map<std::string, std::size_t>;
  std::vector<StoredImage> images_;
  std::optional<sdk::Error> broken_;  // of the first entry that is
  Places names_;
  mutable Places meanings_;
  mutable std::once_flag understood_;
};

/// The index.json of a folder, read again only once another one is in its place. Any thread.
class LayoutNames {
 public:
  explicit LayoutNames(const std::filesystem::path &folder) : file_(folder / "index.json") {}

  /// Null if there is none.
  std::shared_ptr<const NameTable> now() const;

 private:
  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  mutable UniqueFd fd_;  // held open, so that no later file gets its inode
  mutable struct stat status_ {};
  mutable std::shared_ptr<const NameTable> table_;
};

/// The names of a store, with those that wait: who gives many would else write the whole index for each. Any
/// thread. What waits at the end is written then.
class Store::Names {
 public:
  explicit Names(std::filesystem::path root) : root_(std::move(root)), written_(root_) {}
  ~Names();
  Names(const Names &) = delete;
  Names &operator=(const Names &) = delete;

  std::optional<Descriptor> find(std::string_view name);
  /// What a person means by it, among what has a name.
  std::optional<StoredImage> meant(std::string_view text);
  std::vector<StoredImage> list();
  /// Written at once, with what waits. A name that could not be written is not given.
  void give(std::string_view name, const Descriptor &image);
  /// The same, or, not long after the last time, with the next.
  void give_soon(std::string_view name, const Descriptor &image);
  /// All that waits. What could not be written goes on waiting.
  void write();

 private:
  using Clock = std::chrono::steady_clock;
  std::shared_ptr<const NameTable> written() const;
  void write_waiting();

  const std::filesystem::path root_;
  const LayoutNames written_;
  std::mutex mutex_;
  NamedImages waiting_;
  Clock::time_point last_{};
};

}  // namespace pipes::oci
