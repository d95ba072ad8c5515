#include "core/run/zygote.hpp"

#include "core/base/error.hpp"
#include "core/run/environment.hpp"
#include "core/run/step_process.hpp"
#include "core/run/wire.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>

namespace pipes {
namespace {

// Requests and reports are short; `prepare` sends its names one by one.
constexpr std::size_t kMaxPacket = 4096;
constexpr std::size_t kStepDescriptors = 3;

enum class Request : std::uint8_t { start, signal, forget, preload };

struct Packet {
  std::string bytes;
  std::array<UniqueFd, kStepDescriptors> descriptors;
};

bool send_packet(int socket, const std::string &bytes, const std::array<int, kStepDescriptors> *descriptors) {
  iovec part{const_cast<char *>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kStepDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptors != nullptr) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * kStepDescriptors);
    std::memcpy(CMSG_DATA(header), descriptors->data(), sizeof(int) * kStepDescriptors);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

/// nullopt: the other side is gone.
std::optional<Packet> receive_packet(int socket) {
  std::array<char, kMaxPacket> bytes{};
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kStepDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return std::nullopt;
  Packet packet{std::string(bytes.data(), static_cast<std::size_t>(got)), {}};
  const cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    std::array<int, kStepDescriptors> raw{};
    std::memcpy(raw.data(), CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    for (std::size_t i = 0; i < raw.size(); ++i) packet.descriptors[i].reset(raw[i]);
  }
  return packet;
}

/// The life of the zygote process.
class Server {
 public:
  explicit Server(UniqueFd control) : control_(std::move(control)), self_(::getpid()) {}

  [[noreturn]] void serve() {
    settle();
    std::array<pollfd, 2> watched{pollfd{control_.get(), POLLIN, 0},
                                  pollfd{children_ended_.get(), POLLIN, 0}};
    for (;;) {
      if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) leave();
      if (watched[1].revents != 0) reap();
      if (watched[0].revents != 0) {
        std::optional<Packet> packet = receive_packet(control_.get());
        if (!packet) leave();
        obey(*packet);
      }
    }
  }

 private:
  void settle() {
    // A group of its own: the terminal's Ctrl-C is for the runner, which decides what becomes of steps.
    ::setpgid(0, 0);
    ::prctl(PR_SET_NAME, "pipe-zygote");
    for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(ignored, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    ::sigprocmask(SIG_SETMASK, &set, nullptr);
    children_ended_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    // It holds on to nobody's terminal or pipe, so that whoever waits for their end is not kept waiting.
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int standard : {0, 1, 2}) ::dup2(null, standard);
    if (null > STDERR_FILENO) ::close(null);
    keep_only_what_steps_get();
  }

  /// The runner is gone: nothing that it started may go on.
  [[noreturn]] void leave() {
    for (const auto &[pid, number] : numbers_) ::kill(-pid, SIGKILL);
    ::_exit(0);
  }

  void obey(Packet &packet) {
    WireReader from(packet.bytes);
    const auto request = static_cast<Request>(from.u8());
    switch (request) {
      case Request::start:
        return start(from.u32(), packet.descriptors);
      case Request::signal: {
        const std::uint32_t number = from.u32();
        const int signal = from.i32();
        // A process that has ended but is not reaped yet still holds its group's number.
        for (const auto &[pid, of] : numbers_) {
          if (of == number) ::kill(-pid, signal);
        }
        return;
      }
      case Request::forget:
        return forget_variable(from.text());
      case Request::preload:
        // Loaded, never initialised: what libcurl and OpenSSL set up does not survive a fork.
        ::dlopen(from.text().c_str(), RTLD_NOW | RTLD_LOCAL);
        return;
    }
  }

  void start(std::uint32_t number, std::array<UniqueFd, kStepDescriptors> &descriptors) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      control_.reset();
      children_ended_.reset();
      run_step_process(
          {self_, std::move(descriptors[0]), std::move(descriptors[1]), std::move(descriptors[2])});
    }
    if (pid < 0) return report({number, 0, 0, errno});
    ::setpgid(pid, pid);  // here too: whichever of the two comes first
    numbers_.emplace(pid, number);
  }

  void reap() {
    signalfd_siginfo info{};
    while (::read(children_ended_.get(), &info, sizeof info) > 0) {
    }
    siginfo_t child{};
    while (child.si_pid = 0,
           ::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid != 0) {
      const bool fine = child.si_code == CLD_EXITED && child.si_status == 0;
      // What a failed step started must not outlive it. Before it is reaped, its number is still its own.
      if (!fine) ::kill(-child.si_pid, SIGKILL);
      ::waitpid(child.si_pid, nullptr, 0);
      const auto at = numbers_.find(child.si_pid);
      if (at == numbers_.end()) continue;
      const std::uint32_t number = at->second;
      numbers_.erase(at);
      if (child.si_code == CLD_EXITED) {
        report({number, child.si_status, 0, 0});
      } else {
        report({number, 0, child.si_status, 0});
      }
    }
  }

  void report(const ZygoteReport &report) {
    WireWriter to;
    to.u32(report.number);
    to.i32(report.code);
    to.i32(report.signal);
    to.i32(report.start_errno);
    if (!send_packet(control_.get(), to.take(), nullptr)) leave();
  }

  UniqueFd control_;
  pid_t self_;
  UniqueFd children_ended_;
  std::map<pid_t, std::uint32_t> numbers_;
};

WireWriter request(Request kind) {
  WireWriter to;
  to.u8(static_cast<std::uint8_t>(kind));
  return to;
}

[[noreturn]] void zygote_gone() {
  throw Error(Exit::step_failed, "the process that starts the steps is gone",
              "something killed it (out of memory?); run the pipeline again, it goes on where it stopped");
}

}  // namespace

Zygote Zygote::spawn() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw Error(Exit::step_failed, fmt::format("cannot create a socket pair: {}", std::strerror(errno)));
  }
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) {
    throw Error(Exit::step_failed, fmt::format("cannot start a process: {}", std::strerror(errno)),
                "see `ulimit -u` and the machine's memory");
  }
  if (pid == 0) {
    ours.reset();
    Server(std::move(theirs)).serve();
  }
  return {std::move(ours), pid};
}

Zygote::~Zygote() {
  if (!control_) return;
  control_.reset();
  ::waitpid(pid_, nullptr, 0);
}

void Zygote::prepare(const std::vector<std::string> &forget, const std::vector<std::string> &libraries) {
  const auto tell = [this](Request kind, const std::string &name) {
    WireWriter to = request(kind);
    to.text(name);
    if (!send_packet(control_.get(), to.take(), nullptr)) zygote_gone();
  };
  for (const std::string &name : forget) tell(Request::forget, name);
  for (const std::string &name : libraries) tell(Request::preload, name);
}

void Zygote::start(std::uint32_t number, UniqueFd messages, UniqueFd output, UniqueFd cancel) {
  WireWriter to = request(Request::start);
  to.u32(number);
  const std::array<int, kStepDescriptors> descriptors{messages.get(), output.get(), cancel.get()};
  if (!send_packet(control_.get(), to.take(), &descriptors)) zygote_gone();
}

void Zygote::signal(std::uint32_t number, int signal) {
  WireWriter to = request(Request::signal);
  to.u32(number);
  to.i32(signal);
  if (!send_packet(control_.get(), to.take(), nullptr)) zygote_gone();
}

std::optional<ZygoteReport> Zygote::read() {
  pollfd ready{control_.get(), POLLIN, 0};
  if (::poll(&ready, 1, 0) <= 0) return std::nullopt;
  const std::optional<Packet> packet = receive_packet(control_.get());
  if (!packet) zygote_gone();
  WireReader from(packet->bytes);
  ZygoteReport report;
  report.number = from.u32();
  report.code = from.i32();
  report.signal = from.i32();
  report.start_errno = from.i32();
  return report;
}

}  // namespace pipes
