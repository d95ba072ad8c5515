#pragma once
// Where images are read from: the blobs of a layout folder or of an archive. For .cpp files of this
// folder only.
#include <pipe/oci/store.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec.hpp"
#include "file.hpp"
#include "layout_names.hpp"
#include "tar.hpp"

namespace pipes::oci {

/// A piece of an open file.
struct Content {
  UniqueFd owned;  // invalid where the file belongs to the source
  int fd;
  std::uint64_t offset, size;
  std::filesystem::path path;  // for errors

  /// All of it, piece by piece.
  void copy_to(const ByteSink &sink) const;
  /// All of it; PIPE_E_INVALID if it is larger than `max`.
  std::string text(std::uint64_t max) const;
};

/// An OCI image layout, in whatever.
class LayoutSource {
 public:
  virtual ~LayoutSource() = default;
  /// By a path in the layout; nullopt where there is no such file. Follows no symbolic link out of it.
  virtual std::optional<Content> open(const std::string &path) const = 0;
  /// The folder or the file, for errors.
  virtual std::string where() const = 0;

  std::optional<Content> blob(const Digest &digest) const;
  /// index.json; throws PIPE_E_NOT_FOUND if there is none.
  virtual std::shared_ptr<const NameTable> names() const;
};

/// Throws PIPE_E_NOT_FOUND where there is no such folder.
class FolderSource : public LayoutSource {
 public:
  explicit FolderSource(std::filesystem::path folder);
  std::optional<Content> open(const std::string &path) const override;
  std::string where() const override { return folder_.string(); }
  std::shared_ptr<const NameTable> names() const override;

 private:
  std::filesystem::path folder_;
  LayoutNames names_;
};

/// A tar file with any content. Compressed ones are unpacked into a nameless file in `scratch` first.
class TarSource : public LayoutSource {
 public:
  TarSource(std::filesystem::path file, const std::filesystem::path &scratch);
  std::optional<Content> open(const std::string &path) const override;
  std::string where() const override { return path_.string(); }

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
  std::map<std::string, TarMember> members_;
};

/// Whether a file begins as something compressed.
Compression compression_of(int fd, const std::filesystem::path &path);

/// The entry of a layout's index that `ref` means; nullopt if none does. `ref` empty: the only image;
/// PIPE_E_INVALID lists the names when there are several.
std::optional<Descriptor> find_image(const LayoutSource &source, std::string_view ref);
/// "localhost:5000/app" of a name in a layout; empty where it is no name that a registry could have.
std::string repository_of(std::string_view name);
/// The same name, however it was written: registry:3 is docker.io/library/registry:3.
bool same_name(std::string_view one, std::string_view other);

/// Copies an image with everything it refers to into the store; see import_archive.
Descriptor import_image(const LayoutSource &source, const Descriptor &root, Store &store);

}  // namespace pipes::oci
