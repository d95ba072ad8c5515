#pragma once
// Moves whole images: anything an ImageName can say <-> the store.
#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/registry.hpp>
#include <pipe/oci/store.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pipes::oci {

/// Which part of a multi-platform image.
struct PlatformChoice {
  bool all = false;
  Platform platform = Platform::host();
  /// "all", "" (this machine's) or "os/arch[/variant]".
  static PlatformChoice parse(std::string_view text);
};

/// What a name stands for right now, at small cost (one HEAD, or one read).
struct Resolved {
  Descriptor root;  // what the name points at: a manifest or an index
};

struct TransferResult {
  Descriptor image;  // the manifest (or index, for all platforms) that was moved
  /// Of what the source name pointed at (the index, before a platform was chosen).
  Digest source_digest = digest_of("");
  std::uint64_t size = 0;                             // config and layers, bytes
  std::uint64_t bytes = 0;                            // that really moved
  std::uint64_t moved = 0, mounted = 0, skipped = 0;  // blobs
  std::uint64_t referrers = 0;                        // signatures, SBOMs … that went along, or were there
  std::uint64_t requests = 0, retries = 0;            // at both sides
  bool unchanged = false;                             // of a registry's tag: it was there already
};

/// HEAD of a registry name. Throws PIPE_E_NOT_FOUND, PIPE_E_DENIED, PIPE_E_TRANSIENT.
Resolved resolve(const Reference &, const RegistryOptions &, sdk::Observer &);

/// Fetches an image (registry, layout or archive; not an engine) into the store: only the blobs that
/// are not there. Does not name it: the caller tags.
TransferResult fetch(const ImageName &from, const PlatformChoice &, const RegistryOptions &, Store &,
                     sdk::Observer &);

/// The image of a name that must be here already: a registry name is looked up in the store (never in
/// the network), a layout or an archive is read into it. PIPE_E_NOT_FOUND says how to get it.
Descriptor local(const ImageName &, Store &);

/// Config and layers of an image that is in the store as a whole, in bytes; nullopt where a part of it is
/// missing.
std::optional<std::uint64_t> stored_size(const Store &, const Descriptor &image);

/// Sends an image of the store to a registry, layout or archive: blobs first, children before the
/// index, the tag last. Existing blobs are skipped (HEAD), mounted where another repository of that
/// registry is known to hold them. The digest there is compared with the one sent
/// (PIPE_E_MISMATCH). `before_change` is told what a registry's tag points at (nullopt: there is none)
/// and what it will point at, before anything is changed there; it is not called where nothing has to be.
using BeforeChange = std::function<void(const std::optional<Digest> &now, const Digest &next)>;
TransferResult send(Store &, const Descriptor &image, const ImageName &to, const RegistryOptions &,
                    sdk::Observer &, const BeforeChange &before_change = {});

/// What a push to this name would find there.
std::optional<Descriptor> head_target(const Reference &to, const RegistryOptions &, sdk::Observer &);

/// Short names are Docker Hub's, on every machine. Where this one's configuration gives `name` (as its user
/// wrote it) another meaning for Podman, a line that says so; else nothing.
std::string short_name_note(std::string_view name);

/// True where `error` says that a source can't be reached (no route, DNS, TLS, timeout, 429, 5xx), as
/// opposed to one that answered no (401, 403, 404).
bool is_unreachable(const sdk::Error &error);

}  // namespace pipes::oci
