#pragma once
// Versions of the Docker Engine API: compared as numbers, for "1.9" is older than "1.44".
#include <compare>
#include <string>
#include <string_view>

namespace pipes::engine {

struct ApiVersion {
  int major = 0, minor = 0;
  /// Throws sdk::Error{PIPE_E_INVALID}.
  static ApiVersion parse(std::string_view text);
  std::string str() const;
  auto operator<=>(const ApiVersion &) const = default;
};

inline constexpr ApiVersion kNewestApi{1, 52};  // what this client was written for
inline constexpr ApiVersion kOldestApi{1, 25};  // HostConfig.Mounts

/// The version to speak: the lower of both newest. Throws PIPE_E_INVALID where the two have none in common.
ApiVersion negotiate(ApiVersion server_oldest, ApiVersion server_newest, std::string_view server);

}  // namespace pipes::engine
