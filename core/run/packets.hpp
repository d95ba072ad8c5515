#pragma once
// Messages of any size over a SOCK_SEQPACKET socket, whose packets have a limit.
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace pipes {

/// Longest message that is accepted. A sender that goes on is broken, or means harm.
inline constexpr std::size_t kMaxMessage = 64U << 20;

/// Sends a message, waiting as long as it takes. False: nobody is there to read it.
bool send_message(int socket, std::string_view message);

/// Puts packets together into messages. Throws WireError on one that breaks the rules.
class MessageAssembler {
 public:
  /// The message that `packet` completes, if it does.
  std::optional<std::string> add(std::string_view packet);

 private:
  std::string partial_;
};

/// Waits for one message. nullopt: the other side is gone.
std::optional<std::string> receive_message(int socket, MessageAssembler &);

/// Messages on their way to a socket that must not be waited for.
class Outbox {
 public:
  void add(std::string_view message);
  bool empty() const { return packets_.empty(); }
  /// Sends as much as the socket takes now. False: nobody is there to read it.
  bool flush(int socket);

 private:
  std::deque<std::string> packets_;
};

}  // namespace pipes
