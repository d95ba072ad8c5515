#pragma once
// The image store: an OCI image layout on disk (image-spec, image-layout.md) that any OCI tool can
// read and that many processes may write at once.
#include <pipe/oci/manifest.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pipes::oci {

/// Receives one blob. Bytes go to a partial file; `commit` verifies size and digest, and
/// renames. Destroyed without commit, the partial file is removed (or kept, see Store::resume).
/// One thread at a time; several writers of one blob do not disturb each other.
class BlobWriter {
 public:
  BlobWriter(BlobWriter &&) noexcept;
  BlobWriter &operator=(BlobWriter &&) noexcept;
  ~BlobWriter();
  /// Throws sdk::Error: PIPE_E_MISMATCH once more than the expected size comes, PIPE_E_IO when the
  /// disk is full or read-only (message names the path and what to do).
  void write(const void *data, std::size_t size);
  void write(std::string_view data) { write(data.data(), data.size()); }
  /// How much is there: where a resumed writer wants the content to go on from.
  std::uint64_t written() const;
  /// Throws PIPE_E_MISMATCH when size or digest differ. Returns what was stored.
  Descriptor commit();

 private:
  friend class Store;
  struct State;
  explicit BlobWriter(std::unique_ptr<State>);
  std::unique_ptr<State> state_;
};

class FileLock;

struct StoredImage {
  std::string name;  // org.opencontainers.image.ref.name
  Descriptor descriptor;
};

/// Any thread and any process may use a store, and the same folder through several of these, at once.
/// What a name leads to survives a power cut, or is known to be damaged by it and gone. What killed
/// writers left behind is removed by the next one that opens the store.
///
/// While a Store lives, no blob is taken away (docs/design/store.md): keep one from the first look at what
/// is there until the name is given.
class Store {
 public:
  /// Whether there is a store, or another OCI image layout, in that folder.
  static bool exists(const std::filesystem::path &root);
  /// Opens or creates. One that is there may be read-only: then what writes to it throws PIPE_E_IO. Throws
  /// PIPE_E_IO if it can't be created or is no layout.
  explicit Store(std::filesystem::path root);
  /// $PIPE_STORE, else $XDG_DATA_HOME/pipe/store, else ~/.local/share/pipe/store.
  static std::filesystem::path default_path();
  /// The names that are in the store there, read without opening it, and so without waiting for anybody.
  static std::vector<std::string> names(const std::filesystem::path &root);
  const std::filesystem::path &path() const { return root_; }

  /// Present as a regular file of the right size.
  bool has(const Descriptor &) const;
  std::filesystem::path blob_path(const Digest &) const;
  /// Expected digest and size known (a download).
  BlobWriter writer(const Descriptor &expected);
  /// The same, going on with what an earlier writer left behind: give the content from `written()` on
  /// (0 where nothing was). Without commit the partial file is kept for the next one, for a week,
  /// unless its content proved wrong or the disk full.
  BlobWriter resume(const Descriptor &expected);
  /// Digest not known before the end (a layer being made).
  BlobWriter writer(std::string_view media_type);
  /// Small content at once: manifests, configs.
  Descriptor put(std::string_view bytes, std::string_view media_type);
  /// The whole blob, at most `max` bytes, digest checked. PIPE_E_NOT_FOUND if absent.
  std::string read(const Descriptor &, std::uint64_t max = kMaxManifestSize) const;
  Manifest manifest(const Descriptor &) const;
  /// An open O_RDONLY|O_CLOEXEC descriptor of a regular file; the caller closes it.
  int open_blob(const Descriptor &) const;

  /// The image of that name (exact ref.name), with the annotations that `tag` gave it.
  std::optional<Descriptor> resolve(std::string_view name) const;
  /// The image that a person means by a name, however it is written (`registry:3` is
  /// docker.io/library/registry:3), or by a digest, alone or behind a name.
  std::optional<StoredImage> find(std::string_view text) const;
  /// Points a name at an image; replaces what was there; atomic, under the store's lock.
  /// PIPE_E_NOT_FOUND if the manifest is not in the store.
  void tag(std::string_view name, const Descriptor &);
  /// The same for one of many: this Store knows it at once, and others within about a second, once as many as
  /// there are by then are written. A process that is killed before has not named it.
  void tag_soon(std::string_view name, const Descriptor &);
  /// True if there was such a name.
  bool untag(std::string_view name);
  /// Gives those that there were.
  std::set<std::string> untag(const std::set<std::string> &names);
  std::vector<StoredImage> list() const;
  /// Writes what `tag_soon` was given, and waits until all that was written is on the disk.
  void sync();

 private:
  friend class SoleUse;
  BlobWriter open_writer(const std::string &partial, std::optional<Descriptor> expected,
                         std::string_view media_type);

  void check_tag(std::string_view name, const Descriptor &) const;

  class Names;
  std::filesystem::path root_;
  // Both are shared, as copies of a Store use them together. The lock is none where the store can't be
  // written to; it outlives the names, which may have to be written yet.
  std::shared_ptr<FileLock> in_use_;
  std::shared_ptr<Names> names_;
};

}  // namespace pipes::oci
