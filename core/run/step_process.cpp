#include "core/run/step_process.hpp"

#include "core/run/host.hpp"
#include "core/run/loaded_plugin.hpp"
#include "core/run/packets.hpp"
#include "core/run/wire.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <mutex>

namespace pipes {
namespace {

// High up, so that a plugin that closes every descriptor and opens its own never gets one of these
// numbers, and our messages never land in a file of its.
constexpr int kFirstDescriptor = 200;

// A message has a limit, and outputs may be long.
constexpr std::size_t kMostHeld = 16U << 10;

void move_up(UniqueFd &fd) {
  if (const int high = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstDescriptor); high >= 0) fd.reset(high);
}

/// Reaches the runner over the socket.
class SocketLink final : public HostLink {
 public:
  SocketLink(int socket, int cancel) : socket_(socket), cancel_(cancel) {}

  void send(const StepReport &report) override {
    const std::string bytes = encode(report);
    const std::lock_guard lock(mutex_);
    held_.text(bytes);
    // Nobody waits for these; so that the runner wakes up once, they go with what follows: the end, at last.
    const bool later = std::holds_alternative<OutputReport>(report) ||
                       std::holds_alternative<VerdictReport>(report) ||
                       std::holds_alternative<DiffReport>(report);
    if (later && held_.size() < kMostHeld) return;
    // Without a runner there is nobody to work for.
    if (!send_message(socket_, held_.take())) ::_exit(kChannelLost);
  }

  std::string remember(const RememberReport &report) override {
    send(report);
    try {
      if (const auto bytes = receive_message(socket_, assembler_)) return decode_answer(*bytes).problem;
    } catch (const WireError &) {
    }
    ::_exit(kChannelLost);
  }

  int cancel_fd() const override { return cancel_; }

 private:
  int socket_, cancel_;
  std::mutex mutex_;
  WireWriter held_;
  MessageAssembler assembler_;
};

void become_independent(StepProcess &self) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != self.parent) ::_exit(1);
  ::setpgid(0, 0);
  ::prctl(PR_SET_NAME, "pipe-step");
  ::pthread_sigmask(SIG_SETMASK, &self.signal_mask, nullptr);
  ::dup2(self.output.get(), STDOUT_FILENO);
  ::dup2(self.output.get(), STDERR_FILENO);
  self.output.reset();
  move_up(self.messages);
  move_up(self.cancel);
}

/// Does once what will be done with the order. This process was started before there was one, and waits: the
/// pages that it touches now, be they copied for it or shared, nobody has to wait for later.
void rehearse(const StepProcessFacts &facts) {
  decode_order(facts.sample_order);
  encode(StepReport{DoneReport{Status::ok}});
  touch_plugins();
}

void wait_for_debugger(const StepOrder &order, const char *wanted) {
  if (wanted != nullptr && (order.id == wanted || order.uses == wanted)) ::raise(SIGSTOP);
}

}  // namespace

StepProcessFacts::StepProcessFacts() : attach(std::getenv("PIPE_ATTACH")) {
  StepOrder order;
  order.plugin.assign(40, ' ');  // small: of larger blocks malloc has none at hand
  sample_order = encode(order);
}

void run_step_process(StepProcess self) {
  become_independent(self);
  try {
    rehearse(self.facts);
    MessageAssembler assembler;
    const auto bytes = receive_message(self.messages.get(), assembler);
    if (!bytes) ::_exit(1);
    const StepOrder order = decode_order(*bytes);
    wait_for_debugger(order, self.facts.attach);
    SocketLink link(self.messages.get(), self.cancel.get());
    ::_exit(run_operation(order, link) == Status::ok ? 0 : 1);
  } catch (...) {
    ::_exit(1);
  }
}

}  // namespace pipes
