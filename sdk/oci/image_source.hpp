#pragma once
// Where images are read from: one repository of a registry, or a layout. For .cpp files of this folder only.
#include <pipe/http/client.hpp>
#include <pipe/oci/copy.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/registry.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "blame.hpp"
#include "layout_source.hpp"

namespace pipes::oci {

/// What refers to an image.
struct Listed {
  Manifest index;
  bool is_tag = false;  // what the fallback tag stands for, byte for byte
};

/// Any thread may call any member.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  /// What a tag (in a layout: a name) or a digest stands for; nullopt: nothing.
  virtual std::optional<Descriptor> find(const std::string &reference) = 0;
  /// PIPE_E_NOT_FOUND if there is none.
  virtual Manifest manifest(const std::string &reference) = 0;
  virtual bool has(const Descriptor &blob) = 0;
  /// The content from `offset` on: pushed to `sink`, or as a source to pull from. The caller hashes what
  /// is pushed; what is pulled from a registry is checked before its end is given.
  virtual void read(const Descriptor &blob, const http::Sink &sink, std::uint64_t offset,
                    const std::function<bool()> &give_up) = 0;
  virtual http::Source open(const Descriptor &blob, std::uint64_t offset) = 0;
  /// The index of what refers to `subject`, from the registry's own list; with `by_tag`, where it has none,
  /// from the fallback tag.
  virtual std::optional<Listed> referrers(const Digest &subject, bool by_tag) = 0;
  /// The repository that `target` can mount blobs from; empty: not of that registry.
  virtual std::string repository_at(const Registry &) const { return {}; }
  /// Waits for one's turn, where somebody has to be spared.
  virtual std::shared_ptr<void> enter() { return nullptr; }
};

class RegistrySource final : public ImageSource {
 public:
  RegistrySource(Registry &registry, std::string repository, const sdk::Observer &observer)
      : registry_(registry), repository_(std::move(repository)), observer_(observer) {}

  std::optional<Descriptor> find(const std::string &reference) override;
  Manifest manifest(const std::string &reference) override;
  bool has(const Descriptor &blob) override;
  void read(const Descriptor &blob, const http::Sink &sink, std::uint64_t offset,
            const std::function<bool()> &give_up) override;
  http::Source open(const Descriptor &blob, std::uint64_t offset) override;
  std::optional<Listed> referrers(const Digest &subject, bool by_tag) override;
  std::string repository_at(const Registry &other) const override;
  std::shared_ptr<void> enter() override { return registry_.enter(); }
  /// Whether anything that was asked of it failed.
  bool failed() const { return blame_.failed(); }

 private:
  Registry &registry_;
  const std::string repository_;
  const sdk::Observer &observer_;
  Blame blame_;
};

class LayoutImages final : public ImageSource {
 public:
  /// `name` is the image's, and may be empty: what belongs to it has its repository before the tag, or has
  /// none.
  explicit LayoutImages(const LayoutSource &layout, std::string_view name = {});

  std::optional<Descriptor> find(const std::string &name) override;
  Manifest manifest(const std::string &reference) override;
  bool has(const Descriptor &blob) override;
  void read(const Descriptor &blob, const http::Sink &sink, std::uint64_t offset,
            const std::function<bool()> &give_up) override;
  http::Source open(const Descriptor &blob, std::uint64_t offset) override;
  std::optional<Listed> referrers(const Digest &subject, bool by_tag) override;

 private:
  Content content(const Descriptor &blob) const;

  const LayoutSource &layout_;
  std::string repository_;  // "localhost:5000/app"; empty: not known
};

}  // namespace pipes::oci
