#pragma once
// What `from` and `to` of a sync say: a registry, a part of one, or a folder.
#include <pipe/oci/reference.hpp>

#include <string>
#include <string_view>

namespace mirror {

struct Place {
  enum class Kind { anywhere, registry, layout };  // anywhere: the names say it
  Kind kind = Kind::anywhere;
  std::string text;    // registry: "registry.lan:5000/mirror"
  std::string prefix;  // of the repositories of a registry: "mirror/", or empty
  std::string folder;  // layout

  /// "registry.lan:5000", "registry.lan:5000/mirror", "oci:FOLDER"; empty: anywhere. Throws
  /// sdk::Error{PIPE_E_INVALID}.
  static Place parse(std::string_view text);

  /// A repository of it, as a name without tag. Throws sdk::Error{PIPE_E_INVALID}.
  pipes::oci::Reference repository(const std::string &name) const;
  /// Some repository of it: where this one really is, with registries.conf, all are.
  pipes::oci::Reference any() const { return repository(std::string(kAny)); }
  // Of two parts, so that Docker Hub puts no library/ before it.
  static constexpr std::string_view kAny = "x/x";

  /// host[:port] of a registry.
  std::string host() const;
  /// What remains of a repository's name without this place's own.
  std::string path_of(const pipes::oci::Reference &repository) const;
};

}  // namespace mirror
