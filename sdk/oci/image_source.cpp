#include "image_source.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <pipe/oci/attached.hpp>

#include "blob_pipe.hpp"

namespace pipes::oci {

std::optional<Descriptor> RegistrySource::find(const std::string &reference) {
  return blame_.watch([&] { return registry_.head_manifest(repository_, reference); });
}

Manifest RegistrySource::manifest(const std::string &reference) {
  return blame_.watch([&] { return registry_.manifest(repository_, reference); });
}

bool RegistrySource::has(const Descriptor &blob) {
  return blame_.watch([&] { return registry_.has_blob(repository_, blob); });
}

void RegistrySource::read(const Descriptor &blob, const http::Sink &sink, std::uint64_t offset,
                          const std::function<bool()> &give_up) {
  blame_.watch([&] { registry_.get_blob(repository_, blob, sink, offset, give_up); });
}

http::Source RegistrySource::open(const Descriptor &blob, std::uint64_t offset) {
  const auto fetch = [this, blob, offset](const http::Sink &sink, const std::function<bool()> &stop) {
    registry_.get_blob(repository_, blob, sink, offset, stop);
  };
  const auto pipe = std::make_shared<BlobPipe>(blob, offset, fetch, observer_);
  return [this, pipe](char *data, std::size_t size) {
    return blame_.watch([&] { return pipe->read(data, size); });
  };
}

std::optional<Listed> RegistrySource::referrers(const Digest &subject, bool by_tag) {
  return blame_.watch([&]() -> std::optional<Listed> {
    if (std::optional<Manifest> list = registry_.referrers(repository_, subject))
      return Listed{.index = *std::move(list)};
    if (!by_tag) return std::nullopt;
    try {
      return Listed{.index = registry_.manifest(repository_, fallback_tag(subject)), .is_tag = true};
    } catch (const sdk::Error &error) {
      if (error.status != PIPE_E_NOT_FOUND) throw;
      return std::nullopt;
    }
  });
}

std::string RegistrySource::repository_at(const Registry &other) const {
  // The same object: the same host with the same login.
  return &other == &registry_ ? repository_ : std::string();
}

LayoutImages::LayoutImages(const LayoutSource &layout, std::string_view name)
    : layout_(layout), repository_(repository_of(name)) {}

std::optional<Descriptor> LayoutImages::find(const std::string &name) {
  if (const std::optional<Digest> digest = Digest::try_parse(name)) {
    if (std::optional<Content> found = layout_.blob(*digest))
      return Descriptor{.media_type = {}, .digest = *digest, .size = found->size};
    return std::nullopt;
  }
  if (!repository_.empty() && is_attached_tag(name))
    if (std::optional<Descriptor> found = find_image(layout_, repository_ + ":" + name)) return found;
  return find_image(layout_, name);
}

Manifest LayoutImages::manifest(const std::string &reference) {
  const std::optional<Descriptor> found = find(reference);
  if (!found)
    throw sdk::Error(PIPE_E_NOT_FOUND,
                     reference.empty() ? layout_.where() + " holds no image"
                                       : fmt::format("{} holds no image {}", layout_.where(), reference),
                     "check the name");
  return parse_manifest(content(*found).text(kMaxManifestSize), found->media_type, found->digest);
}

Content LayoutImages::content(const Descriptor &blob) const {
  std::optional<Content> found = layout_.blob(blob.digest);
  if (!found)
    throw sdk::Error(PIPE_E_NOT_FOUND,
                     fmt::format("{} is not whole: it lacks {}", layout_.where(), blob.digest.str()),
                     "pull it again, for all platforms that are asked for");
  if (blob.size != found->size)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("{}: {} should have {} bytes and has {}", layout_.where(),
                                 blob.digest.brief(), blob.size, found->size),
                     "remove that file and pull the image again");
  return std::move(*found);
}

bool LayoutImages::has(const Descriptor &blob) {
  const std::optional<Content> found = layout_.blob(blob.digest);
  return found && found->size == blob.size;
}

http::Source LayoutImages::open(const Descriptor &blob, std::uint64_t offset) {
  const auto from = std::make_shared<Content>(content(blob));
  const std::uint64_t end = from->offset + from->size;
  return [from, end, at = from->offset + offset](char *data, std::size_t size) mutable {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, end - at));
    ssize_t got = 0;
    while (wanted > 0 && (got = ::pread(from->fd, data, wanted, static_cast<off_t>(at))) < 0)
      if (errno != EINTR) throw_io("read", from->path, errno);
    at += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  };
}

void LayoutImages::read(const Descriptor &blob, const http::Sink &sink, std::uint64_t offset,
                        const std::function<bool()> &give_up) {
  const http::Source source = open(blob, offset);
  std::string piece(std::min<std::uint64_t>(blob.size - offset + 1, 256u << 10), '\0');
  for (std::size_t count; (count = source(piece.data(), piece.size())) > 0;) {
    if (give_up && give_up()) throw sdk::Error(PIPE_E_CANCELLED, "nobody wants the blob any more");
    sink(piece.data(), count);
  }
}

std::optional<Listed> LayoutImages::referrers(const Digest &subject, bool by_tag) {
  const std::string tag = fallback_tag(subject);
  std::optional<Descriptor> list;
  if (!repository_.empty()) list = find_image(layout_, list_name(repository_, subject));
  if (!list) list = by_tag ? find(tag) : find_image(layout_, tag);
  if (!list) return std::nullopt;
  return Listed{.index = manifest(list->digest.str()), .is_tag = true};
}

}  // namespace pipes::oci
