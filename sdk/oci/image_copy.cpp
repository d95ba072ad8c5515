#include "image_copy.hpp"

#include <fmt/core.h>

#include <pipe/oci/attached.hpp>
#include <pipe/oci/inspect.hpp>

#include <algorithm>
#include <array>
#include <future>
#include <vector>

#include "referrers.hpp"

namespace pipes::oci {
namespace {

constexpr int kMaxDepth = 3;  // a signature of an SBOM of an image
constexpr std::array kAttached{".sig", ".att", ".sbom"};

bool is_whole(const CopyOptions &options) {
  return options.platforms.empty();
}

}  // namespace

void warn_of_platform(const std::string &name, const CopyOptions &options, const TransferResult &result,
                      sdk::Observer &observer) {
  if (options.platforms.size() != 1) return;
  const std::string misfit = options.platforms.front().misfit(name, result.image.platform);
  if (!misfit.empty()) observer.log(sdk::Level::warning, misfit);
}

ImageCopy::Found ImageCopy::look(const std::string &from, const std::string &tag) {
  Found found;
  if (const std::optional<Digest> digest = Digest::try_parse(from)) {
    found.from = Descriptor{.media_type = {}, .digest = *digest};
    found.there = to_.find(tag.empty() ? from : tag);
    return found;
  }
  if (tag.empty()) return found;
  // Both sides at once: two round trips for the time of one.
  std::future<std::optional<Descriptor>> there =
      std::async(std::launch::async, [&] { return to_.find(tag); });
  found.from = from_.find(from);
  found.there = there.get();
  return found;
}

Manifest ImageCopy::read(const Descriptor &descriptor) {
  if (std::optional<Manifest> known = to_.known(descriptor.digest)) return std::move(*known);
  const auto turn = from_.enter();
  Manifest manifest = from_.manifest(descriptor.digest.str());
  if (manifest.bytes.size() != descriptor.size)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("the manifest {} has {} bytes, and its index says {}",
                                 descriptor.digest.brief(), manifest.bytes.size(), descriptor.size),
                     "the index is wrong: ask who made it");
  return manifest;
}

ImageCopy::Choice ImageCopy::choose(const std::string &from, const Found &found) {
  std::optional<Manifest> known;
  if (found.from) known = to_.known(found.from->digest);
  Manifest root = known ? std::move(*known) : from_.manifest(found.from ? found.from->digest.str() : from);
  Choice choice{.root = {}, .source = root.digest, .platform = {}};
  if (options_.platforms.size() > 1 && root.is_index()) {
    root = select_platforms(root, options_.platforms);
  } else if (options_.platforms.size() == 1) {
    OfPlatform image = descend(std::move(root), options_.platforms.front(),
                               [this](const Descriptor &entry) { return read(entry); });
    if (image.entry) choice.platform = image.entry->platform;
    root = std::move(image.manifest);
  }
  choice.root = std::move(root);
  return choice;
}

ImageTree ImageCopy::walk(Manifest root) {
  return walk_image(std::move(root), [this](const std::vector<Descriptor> &level) {
    std::vector<std::optional<Manifest>> read_ones(level.size());
    job_.parallel(level.size(), [&](std::size_t i) { read_ones[i] = read(level[i]); });
    std::vector<Manifest> manifests;
    for (std::optional<Manifest> &manifest : read_ones) manifests.push_back(std::move(*manifest));
    return manifests;
  });
}

/// Of an image that is no entry of an index its config says it. One request, where the target is no layout.
std::optional<Platform> ImageCopy::platform_of(const Manifest &image) {
  if (image.is_index() || !image.config || image.config->size > kMaxManifestSize) return std::nullopt;
  std::optional<std::string> config = to_.content(*image.config);
  if (!config) {
    const auto turn = from_.enter();
    config.emplace();
    from_.read(*image.config, [&](const char *data, std::size_t size) { config->append(data, size); }, 0, {});
  }
  try {
    return read_image_config(*config).platform;
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_INVALID) throw;
    return std::nullopt;  // of an artifact
  }
}

/// What only its owner distributes mostly is nowhere else: then it stays with the owner, as at every tool.
void ImageCopy::leave_out_foreign(ImageTree &tree) {
  std::erase_if(tree.blobs, [this](const Descriptor &blob) { return is_foreign(blob) && !from_.has(blob); });
}

void ImageCopy::place_blobs(const ImageTree &tree) {
  job_.parallel(tree.blobs.size(), [&](std::size_t i) {
    const auto reading = from_.enter();
    const auto writing = to_.enter(from_);
    switch (to_.place(tree.blobs[i], from_, job_)) {
      case Placed::skipped:
        ++skipped_;
        break;
      case Placed::mounted:
        ++mounted_;
        break;
      case Placed::moved:
        ++moved_;
        break;
    }
  });
}

void ImageCopy::place(const ImageTree &tree, const std::string &tag) {
  place_blobs(tree);
  for (const Manifest &manifest : tree.manifests)
    to_.put(manifest, &manifest == &tree.root() ? tag : std::string());
}

TransferResult ImageCopy::run(const std::string &from, const std::string &tag,
                              const std::optional<Digest> &wanted, const BeforeChange &before_change) {
  const Found found = look(from, tag);
  TransferResult result;
  const auto is_there = [&](const Digest &digest) {
    return found.there && found.there->digest == digest && to_.is_whole(*found.there);
  };
  if (found.from && is_whole(options_) && is_there(found.from->digest) &&
      options_.referrers != Referrers::always) {
    result.image = *found.there;
    result.source_digest = found.from->digest;
    result.unchanged = true;
    return result;
  }
  Choice choice = choose(from, found);
  result.source_digest = choice.source;
  ImageTree tree = walk(std::move(choice.root));
  const Manifest &root = tree.root();
  result.image = root.descriptor();
  result.image.platform = choice.platform;
  result.size = tree.blob_bytes();
  if (wanted && *wanted != root.digest)
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("{} is to be copied under a name that says {}", root.digest.str(), wanted->str()),
        "leave the digest out of the name, or copy the image that has it");
  result.unchanged = is_there(root.digest);
  if (!result.unchanged) {
    if (before_change)
      before_change(found.there ? std::optional(found.there->digest) : std::nullopt, root.digest);
    leave_out_foreign(tree);
    place(tree, tag);
  } else {
    result.skipped = tree.blobs.size();
  }
  if (options_.platforms.size() == 1 && !result.image.platform && !result.unchanged)
    result.image.platform = platform_of(tree.root());
  if (options_.referrers == Referrers::always ||
      (options_.referrers == Referrers::with_image && !result.unchanged))
    copy_referrers(tree);
  result.bytes = job_.moved();
  result.moved = moved_;
  result.mounted = mounted_;
  result.skipped += skipped_;
  result.referrers = referrers_;
  return result;
}

CopyForecast ImageCopy::forecast(const std::string &from, const std::string &tag) {
  const Found found = look(from, tag);
  CopyForecast forecast;
  forecast.there = found.there;
  // What is there and not whole is made so: as if it were not there.
  if (forecast.there && !to_.is_whole(*forecast.there)) forecast.there.reset();
  if (found.from && is_whole(options_) && forecast.there && forecast.there->digest == found.from->digest) {
    forecast.image = *forecast.there;
    return forecast;
  }
  ImageTree tree = walk(choose(from, found).root);
  forecast.image = tree.root().descriptor();
  if (forecast.unchanged()) return forecast;
  leave_out_foreign(tree);
  std::mutex mutex;
  job_.parallel(tree.blobs.size(), [&](std::size_t i) {
    const Descriptor &blob = tree.blobs[i];
    const bool here = to_.has(blob);
    const std::lock_guard lock(mutex);
    if (here) {
      ++forecast.skip;
    } else if (to_.would_mount(blob, from_)) {
      ++forecast.mount;
    } else {
      ++forecast.move;
      forecast.bytes += blob.size;
    }
  });
  return forecast;
}

void ImageCopy::copy_referrers(const ImageTree &tree) {
  const std::size_t each = options_.attached_tags ? kAttached.size() + 1 : 1;
  job_.parallel(tree.manifests.size() * each, [&](std::size_t i) {
    const Digest &subject = tree.manifests[i / each].digest;
    if (const std::size_t kind = i % each; kind > 0)
      copy_attached(fallback_tag(subject) + kAttached[kind - 1]);
    else
      copy_listed(subject, 0);
  });
}

/// What refers to `subject`, and what refers to that.
void ImageCopy::copy_listed(const Digest &subject, int depth) {
  if (depth == kMaxDepth) return;
  std::optional<Listed> list;
  {
    const auto turn = from_.enter();
    list = from_.referrers(subject, options_.attached_tags);
  }
  if (!list || list->index.manifests.empty()) return;
  const std::vector<Descriptor> &entries = list->index.manifests;
  std::vector<Descriptor> unlisted;
  for (const Descriptor &entry : entries) {
    const ImageTree tree = walk(read(entry));
    place_blobs(tree);
    bool told = false;
    for (const Manifest &manifest : tree.manifests) told = to_.put(manifest, {});
    if (!told) unlisted.push_back(entry);
    ++referrers_;
    copy_listed(entry.digest, depth + 1);
  }
  if (unlisted.size() == entries.size())
    merge_into_fallback_tag(to_, subject, *list);
  else if (!unlisted.empty())
    add_to_fallback_tag(to_, subject, unlisted);
}

void ImageCopy::copy_attached(const std::string &tag) {
  std::optional<Descriptor> found;
  {
    const auto turn = from_.enter();
    found = from_.find(tag);
  }
  if (!found) return;
  ++referrers_;
  if (const std::optional<Descriptor> there = to_.find(tag);
      there && there->digest == found->digest && to_.is_whole(*there))
    return;
  const ImageTree tree = walk(from_.manifest(found->digest.str()));
  place(tree, tag);
}

}  // namespace pipes::oci
