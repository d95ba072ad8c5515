#include "core/run/zygote_packets.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace pipes {
namespace {

constexpr std::size_t kControl = CMSG_SPACE(sizeof(int) * kStepDescriptors);

}  // namespace

bool send_zygote_packet(int socket, const std::string &bytes, std::span<const int> descriptors) {
  iovec part{const_cast<char *>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, kControl> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

std::optional<ZygotePacket> receive_zygote_packet(int socket) {
  ssize_t size = 0;
  // Its size first, instead of a buffer for the longest: a zygote pays for each page that it writes to with a
  // copy of the page, as the process that it forked last shares them all.
  do {
    size = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  ZygotePacket packet{std::string(static_cast<std::size_t>(size), '\0'), {}};
  iovec part{packet.bytes.data(), packet.bytes.size()};
  alignas(cmsghdr) std::array<char, kControl> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  const cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    std::array<int, kStepDescriptors> raw{};
    const std::size_t bytes = header->cmsg_len - CMSG_LEN(0);
    std::memcpy(raw.data(), CMSG_DATA(header), bytes);
    for (std::size_t i = 0; i < bytes / sizeof(int); ++i) packet.descriptors.at(i).reset(raw.at(i));
  }
  return packet;
}

}  // namespace pipes
