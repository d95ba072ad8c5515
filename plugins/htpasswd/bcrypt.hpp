#pragma once
// bcrypt, the only hash of an htpasswd file that CNCF Distribution understands.
#include <optional>
#include <string>

namespace htpasswd {

/// bcrypt looks at no more.
inline constexpr std::size_t kLongestPassword = 72;

/// "$2y$08$…", as `htpasswd -B` writes it; `cost` is 4 to 31, and doubles the work by each 1.
std::string hash_of(const std::string &password, unsigned cost);
/// Whether `hash` is the password's.
bool matches(const std::string &password, const std::string &hash);
/// The cost of a bcrypt hash; nullopt of any other.
std::optional<unsigned> cost_of(const std::string &hash);

}  // namespace htpasswd
