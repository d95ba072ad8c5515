#pragma once
// Where images are written to: one repository of a registry, or a layout (the store is one). For .cpp files
// of this folder only.
#include <pipe/oci/attached.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/registry.hpp>
#include <pipe/oci/store.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "blame.hpp"
#include "blob_board.hpp"
#include "image_source.hpp"
#include "job.hpp"

namespace pipes::oci {

enum class Placed { skipped, mounted, moved };

/// Any thread may call any member.
class ImageTarget {
 public:
  virtual ~ImageTarget() = default;
  /// What a tag (in a layout: a name) stands for; nullopt: nothing.
  virtual std::optional<Descriptor> find(const std::string &tag) = 0;
  virtual Manifest manifest(const std::string &reference) = 0;
  virtual bool has(const Descriptor &blob) = 0;
  /// Whether all of an image is there that a tag stands for. A registry takes no image otherwise.
  virtual bool is_whole(const Descriptor &) { return true; }
  /// Sees to it that the blob is there.
  virtual Placed place(const Descriptor &blob, ImageSource &from, Job &job) = 0;
  /// By its digest, or under a tag as well. True: whoever asks what refers to its subject will be told of it.
  virtual bool put(const Manifest &manifest, const std::string &tag) = 0;
  /// What the list of all that refers to `subject` is called, if it is not the target itself that keeps it.
  virtual std::string list_tag(const Digest &subject) const { return fallback_tag(subject); }
  /// Whether `place` would mount rather than move.
  virtual bool would_mount(const Descriptor &, const ImageSource &) { return false; }
  /// A manifest that is there already and costs nothing to read.
  virtual std::optional<Manifest> known(const Digest &) { return std::nullopt; }
  /// Of a blob that is there and costs nothing to read.
  virtual std::optional<std::string> content(const Descriptor &) { return std::nullopt; }
  /// Waits for one's turn, where somebody has to be spared who is not the source, too.
  virtual std::shared_ptr<void> enter(const ImageSource &) { return nullptr; }
  /// Whether anything that was asked of it failed; what fails in `place` may be the source's part as well.
  virtual bool failed() const { return false; }
};

class RegistryTarget final : public ImageTarget {
 public:
  /// `known_elsewhere` names a repository of that registry that is likely to hold a blob, or nothing.
  using KnownElsewhere = std::function<std::string(const Digest &)>;
  RegistryTarget(Registry &, std::string repository, BlobBoard &, KnownElsewhere known_elsewhere = {});

  std::optional<Descriptor> find(const std::string &tag) override;
  Manifest manifest(const std::string &reference) override;
  bool has(const Descriptor &blob) override;
  Placed place(const Descriptor &blob, ImageSource &from, Job &job) override;
  bool put(const Manifest &manifest, const std::string &tag) override;
  bool would_mount(const Descriptor &, const ImageSource &) override;
  std::shared_ptr<void> enter(const ImageSource &from) override;
  bool failed() const override { return blame_.failed(); }

 private:
  Placed upload(const Descriptor &blob, ImageSource &from, const std::string &mount_from, Job &job);

  Registry &registry_;
  const std::string repository_;
  BlobBoard &board_;
  const KnownElsewhere known_elsewhere_;
  Blame blame_;
};

/// Where nothing is yet: what a copy would do is asked of it.
class NoTarget final : public ImageTarget {
 public:
  std::optional<Descriptor> find(const std::string &) override { return std::nullopt; }
  Manifest manifest(const std::string &) override { throw nothing_here(); }
  bool has(const Descriptor &) override { return false; }
  Placed place(const Descriptor &, ImageSource &, Job &) override { throw nothing_here(); }
  bool put(const Manifest &, const std::string &) override { throw nothing_here(); }

 private:
  static sdk::Error nothing_here() { return sdk::Error(PIPE_E_NOT_FOUND, "there is nothing yet"); }
};

class StoreTarget final : public ImageTarget {
 public:
  /// With a `repository` ("localhost:5000/app") lists of referrers are of that repository alone.
  StoreTarget(Store &store, BlobBoard &board, std::string repository = {})
      : store_(store), board_(board), repository_(std::move(repository)) {}

  std::optional<Descriptor> find(const std::string &name) override;
  Manifest manifest(const std::string &reference) override;
  bool has(const Descriptor &blob) override { return store_.has(blob); }
  bool is_whole(const Descriptor &image) override;
  Placed place(const Descriptor &blob, ImageSource &from, Job &job) override;
  bool put(const Manifest &manifest, const std::string &name) override;
  std::optional<Manifest> known(const Digest &digest) override;
  std::optional<std::string> content(const Descriptor &blob) override { return store_.read(blob); }
  std::string list_tag(const Digest &subject) const override;

 private:
  void download(const Descriptor &blob, ImageSource &from, Job &job);

  Store &store_;
  BlobBoard &board_;
  const std::string repository_;
};

}  // namespace pipes::oci
