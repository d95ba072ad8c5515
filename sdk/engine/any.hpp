#pragma once
// How engines and people write "every address" and "any port".
#include <string>

namespace pipes::engine {

inline bool any_address(const std::string &ip) {
  return ip.empty() || ip == "0.0.0.0" || ip == "::";
}
inline bool any_port(const std::string &port) {
  return port.empty() || port == "0";
}

}  // namespace pipes::engine
