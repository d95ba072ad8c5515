#include "api_version.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <pipe/error.hpp>

namespace pipes::engine {

ApiVersion ApiVersion::parse(std::string_view text) {
  ApiVersion version;
  const char *end = text.data() + text.size();
  auto [dot, error] = std::from_chars(text.data(), end, version.major);
  if (error == std::errc{} && dot != end && *dot == '.') {
    auto [rest, minor_error] = std::from_chars(dot + 1, end, version.minor);
    if (minor_error == std::errc{} && rest == end) return version;
  }
  throw sdk::Error(PIPE_E_INVALID,
                   fmt::format("`{}` is no version of the Docker Engine API", text.substr(0, 40)));
}

std::string ApiVersion::str() const {
  return fmt::format("{}.{}", major, minor);
}

ApiVersion negotiate(ApiVersion server_oldest, ApiVersion server_newest, std::string_view server) {
  const ApiVersion chosen = std::min(kNewestApi, server_newest);
  if (chosen < server_oldest)
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("{} speaks no API version below {}, and pipe none above {}", server,
                                 server_oldest.str(), kNewestApi.str()),
                     "install a newer pipe");
  if (chosen < kOldestApi)
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("{} speaks API version {} at most, and pipe needs {}", server,
                                 server_newest.str(), kOldestApi.str()),
                     "install a newer engine");
  return chosen;
}

}  // namespace pipes::engine
