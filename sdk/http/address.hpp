#pragma once
// Where an IP address lies, and which addresses an answer from the network may send us to.
#include <pipe/http/client.hpp>

#include <string>
#include <string_view>

struct sockaddr;

namespace pipes::http {

struct Endpoint {
  std::string ip;
  int port = 0;
};
Endpoint endpoint_of(const sockaddr &address);

/// The zone of an IPv4 or IPv6 address ("10.0.0.1", "::1"); `Zone::link_local`, the strictest, when it is
/// none.
Zone zone_of(std::string_view ip);

/// Whether something in zone `from` may send us to an address in zone `to`: to the internet always,
/// else only into the network where it lies itself (CVE cluster of 2026: SSRF by redirect, realm, Location).
bool may_send_to(Zone from, Zone to);

/// Whether `address` with `port` is a proxy that the environment names: then it says nothing of the
/// host behind it.
bool is_proxy(std::string_view ip, int port);

}  // namespace pipes::http
