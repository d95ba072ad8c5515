#pragma once
// Image names, as people write them.
#include <pipe/oci/digest.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

/// A name in a registry, normalised as Docker does: `registry:3` is docker.io/library/registry:3.
/// The first component is a host only if it has a `.` or `:` or is `localhost`.
struct Reference {
  std::string registry;    // host[:port]; Docker Hub is "docker.io"
  std::string repository;  // "library/registry"
  std::string tag;         // empty when only a digest was given; "latest" when neither was
  std::optional<Digest> digest;

  /// Throws sdk::Error{PIPE_E_INVALID} with a message that names the offending part.
  static Reference parse(std::string_view text);
  /// The full name: docker.io/library/registry:3@sha256:...
  std::string str() const;
  /// As people write it: registry:3.
  std::string familiar() const;
  /// What identifies it in a manifest URL: the digest if there is one, else the tag.
  std::string identifier() const { return digest ? digest->str() : tag; }
  /// registry/repository
  std::string name() const { return registry + "/" + repository; }
};

/// Where an image is: a registry (also its name in the local store), a layout, an archive, an engine.
struct ImageName {
  enum class Kind { registry, oci_layout, oci_archive, docker_archive, docker_daemon };
  Kind kind = Kind::registry;
  Reference reference;  // registry, docker_daemon
  std::string path;     // oci_layout, oci_archive, docker_archive
  std::string ref;      // oci_layout, oci_archive, docker_archive: the name inside, may be empty

  /// `registry:3`, `host:5000/app@sha256:…`, `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`,
  /// `docker-archive:FILE[:REF]`, `docker-daemon:REF`. `docker://NAME` is a registry name too.
  static ImageName parse(std::string_view text);
  std::string str() const;
};

}  // namespace pipes::oci
