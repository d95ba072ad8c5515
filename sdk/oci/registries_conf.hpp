#pragma once
// Where a name is really fetched from, as the machine's owner has set it: containers-registries.conf(5),
// version 2, and the registries of Docker's daemon.json. For .cpp files of this folder only.
#include <pipe/oci/reference.hpp>
#include <pipe/oci/registry.hpp>

#include <filesystem>
#include <map>
#include <optional>
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

/// Where a machine keeps those files.
struct ConfigPlaces {
  std::filesystem::path only;                 // if set, that file is read and nothing else
  std::filesystem::path user, etc, usr;       // folders with registries.conf and registries.conf.d/
  std::vector<std::filesystem::path> docker;  // daemon.json: the first that is there

  /// $CONTAINERS_REGISTRIES_CONF, containers/ in $XDG_CONFIG_HOME (else ~/.config), /etc and /usr/share.
  static ConfigPlaces of_this_machine();
};

/// The settings, merged.
class RegistriesConf {
 public:
  /// Throw sdk::Error{PIPE_E_INVALID} with file and line.
  static RegistriesConf parse(std::string_view toml, const std::string &file);
  /// The user's registries.conf stands in place of the system's and of its drop-ins. Then registries.conf.d/
  /// in order of names: a [[registry]] takes the place of an earlier one with its prefix, an alias of an
  /// earlier one with its name. Docker's mirrors are taken where no [[registry]] is about docker.io.
  static RegistriesConf read(const ConfigPlaces &);
  /// `read` of this machine, once a process.
  static const RegistriesConf &load();

  /// Mirrors first, then the registry itself. Throws PIPE_E_DENIED where it is blocked.
  std::vector<Endpoint> to_pull(const Reference &) const;
  /// Where it is written to: never a mirror.
  Endpoint to_push(const Reference &) const;
  /// Whether all of a registry is insecure.
  bool is_insecure(const std::string &host) const;
  /// What Podman takes the short name `text` for, where that is not Docker Hub's image of that name: for a
  /// message, with the file that says so. `text` as its user wrote it.
  std::optional<std::string> other_meaning(std::string_view text) const;

 private:
  struct Mirror {
    std::string location;
    bool insecure = false, with_digest = true, with_tag = true;
  };
  struct Rule {
    std::string prefix, location, file;
    bool insecure = false, blocked = false;
    std::vector<Mirror> mirrors;
  };
  struct Said {
    std::string what, file;
  };
  struct Toml;                                         // reads the parts of a file
  const Rule *rule_of(std::string_view prefix) const;  // exactly that prefix
  const Rule *longest(std::string_view name) const;    // the longest prefix of that name
  const Rule *rule_for(std::string_view name) const;   // the same; throws where it blocks
  void merge(RegistriesConf later);
  void merge_docker(const std::filesystem::path &daemon_json);
  bool is_insecure_in_docker(const std::string &host) const;

  std::vector<Rule> rules_;                   // one a prefix
  std::vector<std::string> docker_insecure_;  // hosts, and networks in CIDR notation
  std::map<std::string, Said> aliases_;       // short name -> full name; empty: taken back
  std::optional<Said> search_;                // unqualified-search-registries, for people
};

/// How a step's settings apply to one of the places: a mirror takes its own word for `insecure`, and is shown
/// no client certificate and no login that is meant for the registry.
RegistryOptions options_for(const Endpoint &, const RegistryOptions &step);

/// Says, once a process for each mirror, that it failed and what comes next. A mirror that did not answer at
/// all is not asked again in this process: `skip_mirror` is true for it then.
void report_mirror(const Endpoint &mirror, const sdk::Error &, sdk::Observer &);
bool skip_mirror(const Endpoint &);

/// Asks the places of `reference`, mirrors first, until one answers: `ask(endpoint, options)`. What the last
/// one throws is thrown; so is PIPE_E_CANCELLED, and PIPE_E_IO, which is about this machine.
template <class Ask>
auto ask_in_turn(const Reference &reference, const RegistryOptions &step, sdk::Observer &observer, Ask ask) {
  const std::vector<Endpoint> places = RegistriesConf::load().to_pull(reference);
  for (const Endpoint &place : places) {
    if (!place.mirror) break;
    if (skip_mirror(place)) continue;
    try {
      return ask(place, options_for(place, step));
    } catch (const sdk::Error &error) {
      if (error.status == PIPE_E_CANCELLED || error.status == PIPE_E_IO) throw;
      report_mirror(place, error, observer);
    }
  }
  return ask(places.back(), options_for(places.back(), step));
}

}  // namespace pipes::oci
