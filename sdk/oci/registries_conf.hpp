#pragma once
// containers-registries.conf(5), version 2: where a name is really fetched from. For .cpp files of this
// folder only.
#include <pipe/oci/reference.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// One place to ask for an image.
struct Endpoint {
  Reference reference;
  bool insecure = false;
  bool mirror = false;
};

/// What the file says of registries. Only `[[registry]]` is read: prefix, location, insecure, blocked and
/// mirrors (with mirror-by-digest-only and pull-from-mirror). Short names are Docker Hub's here, always.
class RegistriesConf {
 public:
  /// Throws sdk::Error{PIPE_E_INVALID} with file and line.
  static RegistriesConf parse(std::string_view toml, const std::string &file);
  /// The file that $CONTAINERS_REGISTRIES_CONF names; nothing where it is not set.
  static RegistriesConf load();

  /// Mirrors first, then the registry itself. Throws PIPE_E_DENIED where it is blocked.
  std::vector<Endpoint> to_pull(const Reference &) const;
  /// Where it is written to: never a mirror.
  Endpoint to_push(const Reference &) const;

 private:
  struct Mirror {
    std::string location;
    bool insecure = false, with_digest = true, with_tag = true;
  };
  struct Rule {
    std::string prefix, location;
    bool insecure = false, blocked = false;
    std::vector<Mirror> mirrors;
  };
  const Rule *rule_for(const Reference &) const;

  std::string file_;
  std::vector<Rule> rules_;
};

}  // namespace pipes::oci
