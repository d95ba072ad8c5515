#pragma once
// The parts of host.cpp that need no machine.
#include <cstdint>
#include <pipe/engine/host.hpp>
#include <string_view>
#include <vector>

namespace pipes::engine {

/// Sockets that listen on `port`, in the text of /proc/net/tcp, tcp6, udp or udp6.
std::vector<std::uint64_t> listening_inodes(std::string_view table, int port, bool udp);

/// What the beginning of an answer to GET /v2/ says.
Answer judge_first_bytes(std::string_view head);

}  // namespace pipes::engine
