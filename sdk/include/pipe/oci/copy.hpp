#pragma once
// Images from anywhere to anywhere, in one pass: what goes from registry to registry is streamed, and
// nothing of it is kept here.
#include <pipe/error.hpp>
#include <pipe/oci/transfer.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// What goes along with an image: signatures, SBOMs and other artifacts that refer to it
/// (distribution-spec, "Listing Referrers", the fallback tag where a registry has no such list; cosign's
/// tags sha256-….sig, .att and .sbom).
enum class Referrers {
  none,
  with_image,  // of an image that is copied; one that is there already is not asked for
  always
};

struct CopyOptions {
  /// Of an index these, in an index of its own with the digest that this gives it; empty: all of it.
  std::vector<Platform> platforms;
  Referrers referrers = Referrers::with_image;
  /// Look for tags that belong to the image (is_attached_tag), too. False: whoever calls copies all tags of
  /// the repository as the tags that they are, and only a registry's own list of referrers is asked for.
  bool attached_tags = true;
};

/// What a copy would do; costs HEADs and the GETs of manifests.
struct CopyForecast {
  Descriptor image;                             // what would be there
  std::optional<Descriptor> there;              // what the name stands for at the target now
  std::uint64_t bytes = 0;                      // that would move, without what refers to the image
  std::uint64_t move = 0, mount = 0, skip = 0;  // blobs
  bool unchanged() const { return there && there->digest == image.digest; }
};

/// Copies images from any name to any name but an engine's, as many as are wanted, several at once: any
/// thread may call any member. Each blob moves once in the life of a Copier; where images share it, the
/// others mount it or find it there. A tag that stands for the same image at both sides costs one HEAD at
/// each.
///
/// From registry to registry, what moves is streamed. An archive, and an old docker-archive as a source, goes
/// through a store beside it that is gone afterwards. In a layout, what refers to an image has the name of
/// the fallback tag, alone or behind the name of the image's repository; an archive holds the image alone.
class Copier {
 public:
  Copier(RegistryOptions from, RegistryOptions to, sdk::Observer &);
  ~Copier();
  Copier(const Copier &) = delete;
  Copier &operator=(const Copier &) = delete;

  /// Digests never change, and the one at the target is compared with the one sent. Blobs first, children
  /// before their index, the tag, then what refers to the image. A name with tag and digest is read by its
  /// digest, and written as its tag. `before_change` as for `send`. Throws what Registry throws.
  TransferResult copy(const ImageName &from, const ImageName &to, const CopyOptions &,
                      const BeforeChange &before_change = {});
  /// To be called after the last copy into a layout, which until then may lack the last names: writes them,
  /// and waits for the disk. Throws PIPE_E_IO.
  void finish();
  /// Changes nothing.
  CopyForecast forecast(const ImageName &from, const ImageName &to, const CopyOptions &);

  /// The tags of a repository, from where its images would be copied (mirrors, other names).
  std::vector<std::string> tags(const Reference &repository);
  /// What both sides were asked for so far.
  Traffic traffic() const;
  /// Where a repository really is, as registries.conf has it, for lists, deletions and the like.
  struct Target {
    Registry &registry;
    std::string repository;
  };
  /// Where it is read from, mirrors aside. Throws PIPE_E_DENIED where it is blocked.
  Target source(const Reference &repository);
  /// Where it is written to (`place_of`).
  Target target(const Reference &repository);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pipes::oci
