#pragma once
// One image with all that belongs to it, from a source to a target. For .cpp files of this folder only.
#include <pipe/oci/copy.hpp>

#include <atomic>
#include <string>

#include "image_source.hpp"
#include "image_target.hpp"
#include "image_tree.hpp"
#include "job.hpp"

namespace pipes::oci {

/// Says that an image is for another platform than the one that was asked for.
void warn_of_platform(const std::string &name, const CopyOptions &, const TransferResult &, sdk::Observer &);

class ImageCopy {
 public:
  ImageCopy(ImageSource &from, ImageTarget &to, const CopyOptions &options, Job &job)
      : from_(from), to_(to), options_(options), job_(job) {}

  /// `from` is a tag, a name or a digest; `tag` is empty where it is to be there by its digest only.
  /// `wanted` is the digest that the target's name demands.
  TransferResult run(const std::string &from, const std::string &tag, const std::optional<Digest> &wanted,
                     const BeforeChange &before_change);
  CopyForecast forecast(const std::string &from, const std::string &tag);

 private:
  struct Found {
    std::optional<Descriptor> from, there;
  };
  Found look(const std::string &from, const std::string &tag);
  struct Choice {
    Manifest root;
    Digest source;  // of what the name stands for, before a platform was chosen
    std::optional<Platform> platform;
  };
  Choice choose(const std::string &from, const Found &found);
  ImageTree walk(Manifest root);
  Manifest read(const Descriptor &descriptor);
  std::optional<Platform> platform_of(const Manifest &image);
  void leave_out_foreign(ImageTree &tree);
  void place_blobs(const ImageTree &tree);
  void place(const ImageTree &tree, const std::string &tag);

  void copy_referrers(const ImageTree &tree);
  void copy_listed(const Digest &subject, int depth);
  void copy_attached(const std::string &tag);

  ImageSource &from_;
  ImageTarget &to_;
  const CopyOptions &options_;
  Job &job_;
  std::atomic<std::uint64_t> moved_ = 0, mounted_ = 0, skipped_ = 0, referrers_ = 0;
};

}  // namespace pipes::oci
