#pragma once
// Names of the store that a step gave away, so that it can take them back.
#include <pipe/oci/reference.hpp>
#include <pipe/oci/store.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

/// A name for the store: of a registry's kind, with a tag and without a digest. Throws PIPE_E_INVALID.
std::string store_name(std::string_view text);

/// One change of a name, as text that a step can keep: what it pointed at before (maybe nothing) and what
/// after.
struct NameChange {
  std::optional<Descriptor> before, after;

  std::string str() const;
  static std::optional<NameChange> parse(std::string_view text);

  /// Takes the change back, unless somebody has changed the name since. False: nothing was to be done.
  bool take_back(std::string_view name, Store &) const;
};

}  // namespace pipes::oci
