#pragma once
// What the runner and its zygotes say to each other: one packet, with descriptors, on a SOCK_SEQPACKET
// socket.
#include "core/base/fd.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace pipes {

/// Begins each packet to a zygote.
enum class ZygoteRequest : std::uint8_t { start, signal, forget, preload, load };

/// Begins each packet from one: what its number means.
enum class ZygoteNews : std::uint8_t { ready, exited, killed, not_started };

/// `start` brings the step's end of its messages, its output and what tells it to stop.
inline constexpr std::size_t kStepDescriptors = 3;

struct ZygotePacket {
  std::string bytes;
  std::array<UniqueFd, kStepDescriptors> descriptors;
};

/// Waits until it is sent. False: the other side is gone.
bool send_zygote_packet(int socket, const std::string &bytes, std::span<const int> descriptors = {});

/// Waits for a packet. nullopt: the other side is gone.
std::optional<ZygotePacket> receive_zygote_packet(int socket);

}  // namespace pipes
