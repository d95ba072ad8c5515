#include "address.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace pipes::http {
namespace {

struct Block4 {
  std::uint32_t network;
  int bits;
  Zone zone;
};

// RFC 6890, the special-purpose address registries.
constexpr std::array kBlocks4{
    Block4{0x7f000000, 8, Zone::loopback},
    Block4{0x00000000, 8, Zone::loopback},  // 0.0.0.0 reaches this host
    Block4{0xa9fe0000, 16, Zone::link_local},
    Block4{0x0a000000, 8, Zone::private_network},
    Block4{0xac100000, 12, Zone::private_network},
    Block4{0xc0a80000, 16, Zone::private_network},
    Block4{0x64400000, 10, Zone::private_network},
    Block4{0xc6120000, 15, Zone::private_network},
    Block4{0xe0000000, 4, Zone::link_local},
    Block4{0xf0000000, 4, Zone::link_local},
};

Zone zone_of4(std::uint32_t ip) {
  for (const Block4 &block : kBlocks4)
    if ((ip ^ block.network) >> (32 - block.bits) == 0) return block.zone;
  return Zone::internet;
}

Zone zone_of6(const in6_addr &ip) {
  const std::uint8_t *b = ip.s6_addr;
  const auto embedded4 = [b](int at) {
    return zone_of4(std::uint32_t{b[at]} << 24 | std::uint32_t{b[at + 1]} << 16 |
                    std::uint32_t{b[at + 2]} << 8 | b[at + 3]);
  };
  static constexpr std::array<std::uint8_t, 12> kNat64{0x00, 0x64, 0xff, 0x9b};
  if (IN6_IS_ADDR_LOOPBACK(&ip) || IN6_IS_ADDR_UNSPECIFIED(&ip)) return Zone::loopback;
  if (IN6_IS_ADDR_V4MAPPED(&ip) || IN6_IS_ADDR_V4COMPAT(&ip)) return embedded4(12);
  if (std::memcmp(b, kNat64.data(), kNat64.size()) == 0) return embedded4(12);
  if (b[0] == 0x20 && b[1] == 0x02) return embedded4(2);  // 6to4
  if (IN6_IS_ADDR_LINKLOCAL(&ip) || IN6_IS_ADDR_MULTICAST(&ip)) return Zone::link_local;
  if ((b[0] & 0xfe) == 0xfc || IN6_IS_ADDR_SITELOCAL(&ip)) return Zone::private_network;
  return Zone::internet;
}

bool proxy_has_address(const char *variable, std::string_view ip, int port) {
  const char *value = std::getenv(variable);
  if (value == nullptr || *value == '\0') return false;
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), &curl_url_cleanup);
  if (!url || curl_url_set(url.get(), CURLUPART_URL, value, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) !=
                  CURLUE_OK)
    return false;
  char *text = nullptr;
  if (curl_url_get(url.get(), CURLUPART_HOST, &text, 0) != CURLUE_OK) return false;
  std::string host(text);
  curl_free(text);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  int proxy_port = 1080;  // libcurl's default for a proxy
  if (curl_url_get(url.get(), CURLUPART_PORT, &text, 0) == CURLUE_OK) {
    proxy_port = std::atoi(text);
    curl_free(text);
  }
  if (proxy_port != port) return false;
  addrinfo *found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  for (const addrinfo *at = found; at != nullptr; at = at->ai_next)
    if (endpoint_of(*at->ai_addr).ip == ip) return true;
  return false;
}

}  // namespace

Endpoint endpoint_of(const sockaddr &address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
    return {text.data(), ntohs(in.sin_port)};
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address, sizeof in);
    inet_ntop(AF_INET6, &in.sin6_addr, text.data(), text.size());
    return {text.data(), ntohs(in.sin6_port)};
  }
  return {};
}

Zone zone_of(std::string_view ip) {
  const std::string text(ip.substr(0, ip.find('%')));
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return zone_of4(ntohl(v4.s_addr));
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) return zone_of6(v6);
  return Zone::link_local;
}

bool may_send_to(Zone from, Zone to) {
  switch (to) {
    case Zone::internet:
      return true;
    case Zone::private_network:
      return from == Zone::private_network || from == Zone::loopback;
    case Zone::loopback:
      return from == Zone::loopback;
    case Zone::link_local:
      return from == Zone::link_local;
  }
  return false;
}

bool is_proxy(std::string_view ip, int port) {
  static constexpr std::array kVariables{"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                         "ALL_PROXY"};
  return std::ranges::any_of(kVariables, [&](const char *name) { return proxy_has_address(name, ip, port); });
}

}  // namespace pipes::http
