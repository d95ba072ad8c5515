#include "core/run/zygote_process.hpp"

#include "core/run/environment.hpp"
#include "core/run/loaded_plugin.hpp"
#include "core/run/plugin_effects.hpp"
#include "core/run/step_process.hpp"
#include "core/run/wire.hpp"
#include "core/run/zygote_packets.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <vector>

namespace pipes {
namespace {

// What may be asked of steps and zygotes at once, before memory is asked for.
constexpr std::size_t kUsualSteps = 64;
// How long a plugin may take to load ahead; steps load it themselves meanwhile.
constexpr unsigned kLoadSeconds = 10;

/// Takes small blocks of each size and gives them back, the last first: malloc then has some at hand that lie
/// side by side. A step's first blocks come from one page or two, and not from wherever there was a hole; of
/// each page that it writes to it gets a copy, which is most of what a step costs.
void put_memory_at_hand() {
  constexpr std::size_t kSizes = 16, kRounds = 16;
  std::array<void *volatile, kSizes * kRounds> blocks{};
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = std::malloc(16 * (i % kSizes + 1));
  for (std::size_t i = blocks.size(); i > 0; --i) std::free(blocks[i - 1]);
}

/// There is one thread only, so that none holds a lock that `fork` would have to care about.
pid_t fork_step() {
#ifdef __SANITIZE_THREAD__
  return ::fork();  // the sanitizer has threads of its own, and has to know
#else
  return ::_Fork();
#endif
}

/// Takes requests, forks, reaps and reports. What it does for each step writes to as few pages of memory as
/// can be, since each of them is copied once a fork.
class Server {
 public:
  explicit Server(UniqueFd control) : control_(std::move(control)), self_(::getpid()) {
    steps_.reserve(kUsualSteps);
    sigemptyset(&step_mask_);
  }

  /// Of the zygote.
  [[noreturn]] void serve() {
    block_signals();
    // A group of its own: the terminal's Ctrl-C is for the runner, which decides what becomes of steps.
    ::setpgid(0, 0);
    ::prctl(PR_SET_NAME, "pipe-zygote");
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(number, SIG_DFL);
    // In steps, too: a connection that the other side closed is an error to report, not a death.
    ::signal(SIGPIPE, SIG_IGN);
    // A core would hold the step's secrets.
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    keep_only_what_steps_get();
    let_go_of_standard_streams();
    obey_all();
  }

  /// Of a zygote that is forked from it to load a plugin first.
  [[noreturn]] void serve(const std::string &plugin, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::setpgid(0, 0);
    ::sigprocmask(SIG_SETMASK, &step_mask_, nullptr);
    ::alarm(kLoadSeconds);
    if (!load_for_many(plugin)) ::_exit(1);
    ::alarm(0);
    // From here on it sees for itself that the runner is gone, and takes its steps along.
    ::prctl(PR_SET_PDEATHSIG, 0);
    ::sigprocmask(SIG_SETMASK, nullptr, &step_mask_);
    block_signals();
    let_go_of_standard_streams();
    put_memory_at_hand();
    report(ZygoteNews::ready, 0, 0);
    obey_all();
  }

 private:
  struct Step {
    pid_t pid;
    std::uint32_t number;
  };

  /// It holds on to nobody's terminal or pipe, so that whoever waits for their end is not kept waiting.
  static void let_go_of_standard_streams() {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int standard : {0, 1, 2}) ::dup2(null, standard);
    if (null > STDERR_FILENO) ::close(null);
  }

  static bool load_for_many(const std::string &plugin) {
    const PluginEffects effects;
    return load_plugin(plugin) && !effects.reach_other_steps();
  }

  /// Blocked, not ignored: a step has them as they should be once it gives itself its mask.
  static void block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
  }

  [[noreturn]] void obey_all() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    children_ended_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    std::array<pollfd, 2> watched{pollfd{control_.get(), POLLIN, 0},
                                  pollfd{children_ended_.get(), POLLIN, 0}};
    for (;;) {
      if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) leave();
      if (watched[1].revents != 0) reap();
      if (watched[0].revents != 0) {
        std::optional<ZygotePacket> packet = receive_zygote_packet(control_.get());
        if (!packet) leave();
        obey(*packet);
      }
    }
  }

  /// The runner is gone: nothing that it started may go on.
  [[noreturn]] void leave() {
    for (const Step &step : steps_) ::kill(-step.pid, SIGKILL);
    ::_exit(0);
  }

  void obey(ZygotePacket &packet) {
    WireReader from(packet.bytes);
    switch (static_cast<ZygoteRequest>(from.u8())) {
      case ZygoteRequest::start:
        return start(from.u32(), packet.descriptors);
      case ZygoteRequest::signal: {
        const std::uint32_t number = from.u32();
        const int signal = from.i32();
        // A process that has ended but is not reaped yet still holds its group's number.
        for (const Step &step : steps_) {
          if (step.number == number) ::kill(-step.pid, signal);
        }
        return;
      }
      case ZygoteRequest::forget:
        return forget_variable(from.text());
      case ZygoteRequest::preload:
        // Loaded, never initialised: what libcurl and OpenSSL set up does not survive a fork.
        ::dlopen(from.text().c_str(), RTLD_NOW | RTLD_LOCAL);
        return;
      case ZygoteRequest::load:
        // If it cannot be, the runner sees that the other end is closed.
        if (::fork() == 0) {
          control_.reset();
          children_ended_.reset();
          Server(std::move(packet.descriptors[0])).serve(from.text(), self_);
        }
        return;
    }
  }

  void start(std::uint32_t number, std::array<UniqueFd, kStepDescriptors> &descriptors) {
    const pid_t pid = fork_step();
    if (pid == 0) {
      control_.reset();
      children_ended_.reset();
      run_step_process({facts_, self_, step_mask_, std::move(descriptors[0]), std::move(descriptors[1]),
                        std::move(descriptors[2])});
    }
    if (pid < 0) return report(ZygoteNews::not_started, number, errno);
    ::setpgid(pid, pid);  // here too: whichever of the two comes first
    steps_.push_back({pid, number});
  }

  void reap() {
    // At most one is there to read, however many children have ended. (To be told so would set errno, and
    // with it take a copy of its page, while a step's end waits to be reported.)
    signalfd_siginfo info{};
    [[maybe_unused]] const ssize_t got = ::read(children_ended_.get(), &info, sizeof info);
    siginfo_t child{};
    while (child.si_pid = 0,
           ::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid != 0) {
      const bool exited = child.si_code == CLD_EXITED;
      // What a failed step started must not outlive it. Before it is reaped, its number is still its own.
      if (!exited || child.si_status != 0) ::kill(-child.si_pid, SIGKILL);
      ::waitpid(child.si_pid, nullptr, 0);
      const auto at = std::ranges::find(steps_, child.si_pid, &Step::pid);
      if (at == steps_.end()) continue;  // a zygote for a plugin
      const std::uint32_t number = at->number;
      steps_.erase(at);
      report(exited ? ZygoteNews::exited : ZygoteNews::killed, number, child.si_status);
    }
  }

  void report(ZygoteNews news, std::uint32_t number, int detail) {
    WireWriter to;
    to.u8(static_cast<std::uint8_t>(news));
    to.u32(number);
    to.i32(detail);
    if (!send_zygote_packet(control_.get(), to.take())) leave();
  }

  UniqueFd control_;
  pid_t self_;
  StepProcessFacts facts_;
  UniqueFd children_ended_;
  sigset_t step_mask_;
  std::vector<Step> steps_;
};

}  // namespace

void run_zygote_process(UniqueFd control) {
  Server(std::move(control)).serve();
}

}  // namespace pipes
