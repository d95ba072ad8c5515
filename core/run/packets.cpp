#include "core/run/packets.hpp"

#include "core/run/wire.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

namespace pipes {
namespace {

// Well below net.core.wmem_default (208 KiB), so that a few packets fit into the buffer.
constexpr std::size_t kPiece = 32U << 10;
// What a packet seldom exceeds.
constexpr std::size_t kUsual = 512;
constexpr char kMore = 1, kLast = 0;

/// Calls `sink` with each packet of a message: one byte that says whether more follows, then a piece.
template <class Sink>
bool split(std::string_view message, Sink sink) {
  do {
    const std::string_view piece = message.substr(0, kPiece);
    message.remove_prefix(piece.size());
    std::string packet(1, message.empty() ? kLast : kMore);
    packet.append(piece);
    if (!sink(std::move(packet))) return false;
  } while (!message.empty());
  return true;
}

enum class Sent { all, later, gone };

Sent send_packet(int socket, std::string_view packet, int flags) {
  for (;;) {
    if (::send(socket, packet.data(), packet.size(), flags | MSG_NOSIGNAL) >= 0) return Sent::all;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? Sent::later : Sent::gone;
  }
}

}  // namespace

bool send_message(int socket, std::string_view message) {
  return split(message,
               [socket](const std::string &packet) { return send_packet(socket, packet, 0) == Sent::all; });
}

std::optional<std::string> MessageAssembler::add(std::string_view packet) {
  if (packet.empty() || (packet[0] != kMore && packet[0] != kLast)) throw WireError();
  const std::string_view piece = packet.substr(1);
  if (partial_.size() + piece.size() > kMaxMessage) throw WireError();
  if (packet[0] == kLast && partial_.empty()) return std::string(piece);
  partial_.append(piece);
  if (packet[0] == kMore) return std::nullopt;
  return std::exchange(partial_, {});
}

std::optional<std::string> receive_message(int socket, MessageAssembler &assembler) {
  // A new process pays for each page that it writes to: the usual message takes no more than it must.
  std::array<char, kUsual> usual;
  std::string large;
  for (;;) {
    const ssize_t size = ::recv(socket, usual.data(), usual.size(), MSG_PEEK | MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return std::nullopt;
    std::span<char> packet(usual.data(), static_cast<std::size_t>(size));
    if (packet.size() > usual.size()) {
      large.resize(packet.size());
      packet = large;
    }
    ssize_t got = 0;
    do {
      got = ::recv(socket, packet.data(), packet.size(), 0);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return std::nullopt;
    if (auto message = assembler.add({packet.data(), packet.size()})) return message;
  }
}

void Outbox::add(std::string_view message) {
  split(message, [this](std::string packet) {
    packets_.push_back(std::move(packet));
    return true;
  });
}

bool Outbox::flush(int socket) {
  while (!packets_.empty()) {
    const Sent sent = send_packet(socket, packets_.front(), MSG_DONTWAIT);
    if (sent == Sent::gone) return false;
    if (sent == Sent::later) return true;
    packets_.pop_front();
  }
  return true;
}

}  // namespace pipes
