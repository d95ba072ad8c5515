#pragma once
// The inside of Registry. For .cpp files of this folder only.
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "registry_session.hpp"

namespace pipes::oci {

/// A decimal number and nothing else.
std::optional<std::uint64_t> parse_number(std::string_view text);

struct Registry::State {
  State(std::string host, RegistryOptions options, sdk::Observer &observer)
      : session(std::move(host), std::move(options), observer) {}

  Access access(const std::string &repository, bool push);
  /// "localhost:5000/app:1", for messages.
  std::string named(const std::string &repository, const std::string &reference) const;
  std::string named(const std::string &repository, const Digest &blob) const;

  Manifest read_manifest(const std::string &repository, const std::string &reference);
  /// The strings under `key` of all pages of a list. Throws as Registry::tags.
  std::vector<std::string> read_list(Call first_page, const char *key);

  Session session;
  std::mutex mutex;
  std::set<std::string> written;            // repositories that are pushed to
  std::set<std::string> without_referrers;  // that have no list of them, as far as is known
  std::set<std::pair<std::string, std::string>> without_mounts;  // into the first, from the second
};

}  // namespace pipes::oci
