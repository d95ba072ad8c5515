#include "core/run/zygote.hpp"

#include "core/base/error.hpp"
#include "core/run/wire.hpp"
#include "core/run/zygote_packets.hpp"
#include "core/run/zygote_process.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace pipes {
namespace {

WireWriter request(ZygoteRequest kind) {
  WireWriter to;
  to.u8(static_cast<std::uint8_t>(kind));
  return to;
}

struct SocketPair {
  UniqueFd ours, theirs;
};

/// Both are empty if there can be none.
SocketPair make_socket_pair() {
  std::array<int, 2> ends{-1, -1};
  ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

void throw_zygote_gone() {
  throw Error(Exit::step_failed, "the process that starts the steps is gone",
              "something killed it (out of memory?); run the pipeline again, it goes on where it stopped");
}

Zygote Zygote::spawn() {
  SocketPair socket = make_socket_pair();
  if (!socket.ours) {
    throw Error(Exit::step_failed, fmt::format("cannot create a socket pair: {}", std::strerror(errno)));
  }
  const pid_t pid = ::fork();
  if (pid < 0) {
    throw Error(Exit::step_failed, fmt::format("cannot start a process: {}", std::strerror(errno)),
                "see `ulimit -u` and the machine's memory");
  }
  if (pid == 0) {
    socket.ours.reset();
    run_zygote_process(std::move(socket.theirs));
  }
  return {std::move(socket.ours), pid};
}

Zygote::~Zygote() {
  if (!control_) return;
  if (pid_ >= 0) {
    control_.reset();
    ::waitpid(pid_, nullptr, 0);
  } else if (ready_) {
    // It ends when it sees this, and its end of the socket with it. One that loads yet ends with its parent.
    ::shutdown(control_.get(), SHUT_WR);
    while (receive_zygote_packet(control_.get())) {
    }
  }
}

void Zygote::prepare(const std::vector<std::string> &forget, const std::vector<std::string> &libraries) {
  const auto tell = [this](ZygoteRequest kind, const std::string &name) {
    WireWriter to = request(kind);
    to.text(name);
    if (!send_zygote_packet(control_.get(), to.take())) throw_zygote_gone();
  };
  for (const std::string &name : forget) tell(ZygoteRequest::forget, name);
  for (const std::string &name : libraries) tell(ZygoteRequest::preload, name);
}

Zygote Zygote::with_plugin(const std::string &path) {
  SocketPair socket = make_socket_pair();
  if (!socket.ours) return {{}, -1};
  WireWriter to = request(ZygoteRequest::load);
  to.text(path);
  if (!send_zygote_packet(control_.get(), to.take(), std::array{socket.theirs.get()})) throw_zygote_gone();
  return {std::move(socket.ours), -1};
}

bool Zygote::start(std::uint32_t number, UniqueFd messages, UniqueFd output, UniqueFd cancel) {
  WireWriter to = request(ZygoteRequest::start);
  to.u32(number);
  return send_zygote_packet(control_.get(), to.take(),
                            std::array{messages.get(), output.get(), cancel.get()});
}

void Zygote::signal(std::uint32_t number, int signal) {
  WireWriter to = request(ZygoteRequest::signal);
  to.u32(number);
  to.i32(signal);
  // If it is gone, so are its steps.
  send_zygote_packet(control_.get(), to.take());
}

std::optional<ZygoteReport> Zygote::read() {
  for (;;) {
    pollfd waiting{control_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) <= 0) return std::nullopt;
    const std::optional<ZygotePacket> packet = receive_zygote_packet(control_.get());
    if (!packet) {
      control_.reset();
      return std::nullopt;
    }
    WireReader from(packet->bytes);
    const auto news = static_cast<ZygoteNews>(from.u8());
    ZygoteReport report{.number = from.u32()};
    const int detail = from.i32();
    switch (news) {
      case ZygoteNews::ready:
        ready_ = true;
        continue;
      case ZygoteNews::exited:
        report.code = detail;
        break;
      case ZygoteNews::killed:
        report.signal = detail;
        break;
      case ZygoteNews::not_started:
        report.start_errno = detail;
        break;
    }
    return report;
  }
}

}  // namespace pipes
