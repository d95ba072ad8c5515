#include "core/run/process_runner.hpp"

#include "core/base/error.hpp"
#include "core/run/step_process.hpp"
#include "core/run/wire.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace pipes {
namespace {

constexpr std::size_t kBuffer = 64U << 10;
// What is read of one step before the others get their turn; also what is read of a pipe after its step
// has ended, since something that the step left behind may go on writing for ever.
constexpr int kReadsPerTurn = 16;
// Enough for the longest message that is accepted.
constexpr int kTurnsAfterEnd = 256;
// With this step of a plugin a zygote loads it for those that follow. That costs what a step costs, and saves
// a third of it each time.
constexpr int kWorthLoadingOnce = 3;

int timeout_ms(std::optional<TimePoint> until) {
  if (!until) return -1;
  const auto left = std::chrono::ceil<Millis>(*until - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

extern "C" void end_at_once(int number) {
  ::_exit(128 + number);
}

}  // namespace

ProcessRunner::ProcessRunner(Zygote &zygote, Memory &memory) : memory_(memory) {
  nurseries_.emplace_back(zygote);
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    ::sigaction(number, nullptr, &now);
    // Whoever started us with nohup wants it ignored.
    if (now.sa_handler != SIG_IGN) sigaddset(&watched, number);
  }
  ::sigprocmask(SIG_BLOCK, &watched, &before_);
  signals_.reset(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_)
    throw Error(Exit::step_failed, fmt::format("cannot watch for signals: {}", std::strerror(errno)));
  buffer_.resize(kBuffer);
}

ProcessRunner::~ProcessRunner() {
  for (const auto &[number, child] : children_) child.from->zygote.signal(number, SIGKILL);
  // One more Ctrl-C that comes while the run is ending has nothing left to end but `pipe` itself, with
  // the exit code that it has then anyway.
  signalfd_siginfo late{};
  while (::read(signals_.get(), &late, sizeof late) > 0) {
  }
  if (interrupted_)
    for (const int number : {SIGINT, SIGTERM}) ::signal(number, end_at_once);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

ProcessRunner::Nursery &ProcessRunner::nursery_for(const std::string &plugin) {
  Nursery &first = nurseries_.front();
  Use &use = plugins_[plugin];
  if (++use.steps == kWorthLoadingOnce) {
    use.nursery = &nurseries_.emplace_back(first.zygote.with_plugin(plugin));
  }
  const bool usable = use.nursery != nullptr && use.nursery->zygote.ready() && !use.nursery->zygote.gone();
  return usable ? *use.nursery : first;
}

std::optional<ProcessRunner::Child> ProcessRunner::spawn(Nursery &from, std::string &problem) {
  const auto fail = [&problem](const char *what) {
    problem = fmt::format("cannot {}: {}", what, std::strerror(errno));
    return std::nullopt;
  };
  std::array<int, 2> socket{}, pipe{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socket.data()) != 0) {
    return fail("create a socket pair");
  }
  Child child;
  child.from = &from;
  child.number = spawned_++;
  child.messages.reset(socket[0]);
  UniqueFd theirs(socket[1]);
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return fail("create a pipe");
  child.output.reset(pipe[0]);
  UniqueFd output(pipe[1]);
  ::fcntl(child.output.get(), F_SETFL, O_NONBLOCK);
  child.cancel.reset(::eventfd(0, EFD_CLOEXEC));
  UniqueFd cancel(::fcntl(child.cancel.get(), F_DUPFD_CLOEXEC, 0));
  if (!cancel) return fail("create a descriptor");
  if (!from.zygote.start(child.number, std::move(theirs), std::move(output), std::move(cancel))) {
    if (&from == &nurseries_.front()) throw_zygote_gone();
    return std::nullopt;
  }
  return child;
}

void ProcessRunner::start(std::uint32_t node, const StepOrder &order) {
  std::string problem;
  Nursery &nursery = nursery_for(order.plugin);
  std::optional<Child> child = std::exchange(nursery.spare, std::nullopt);
  if (!child) child = spawn(nursery, problem);
  if (!child && nursery.owned) child = spawn(nurseries_.front(), problem);
  if (!child) {
    failed_starts_.push_back({node, ExitReport{0, 0, std::move(problem)}, 0});
    return;
  }
  child->node = node;
  child->id = order.id;
  child->uses = order.uses;
  // The order may wait in the socket for the process to be born; the rest of a long one follows.
  child->outbox.add(encode(order));
  child->outbox.flush(child->messages.get());
  const std::uint32_t number = child->number;
  children_.emplace(number, *std::move(child));
  nursery.spare = spawn(nursery, problem);  // without one, the next step waits for its own
}

std::map<std::uint32_t, ProcessRunner::Child>::iterator ProcessRunner::find(std::uint32_t node) {
  return std::ranges::find(children_, node, [](const auto &pair) { return pair.second.node; });
}

void ProcessRunner::ask_to_stop(std::uint32_t node) {
  const auto at = find(node);
  if (at == children_.end()) return;
  const std::uint64_t one = 1;
  // It can only fail if the counter is full, and then it is readable already.
  [[maybe_unused]] const ssize_t written = ::write(at->second.cancel.get(), &one, sizeof one);
}

void ProcessRunner::signal(std::uint32_t node, int signal) {
  if (const auto at = find(node); at != children_.end()) at->second.from->zygote.signal(at->first, signal);
}

std::vector<Happening> ProcessRunner::wait(std::optional<TimePoint> until) {
  std::vector<Happening> happenings = std::exchange(failed_starts_, {});
  if (happenings.empty()) poll(until, happenings);
  return happenings;
}

void ProcessRunner::poll(std::optional<TimePoint> until, std::vector<Happening> &happenings) {
  std::vector<pollfd> watched{{signals_.get(), POLLIN, 0}};
  std::vector<Nursery *> nurseries;
  for (Nursery &nursery : nurseries_) {
    if (nursery.zygote.gone()) continue;
    watched.push_back({nursery.zygote.descriptor(), POLLIN, 0});
    nurseries.push_back(&nursery);
  }
  std::vector<Child *> children;
  for (auto &[number, child] : children_) {
    // What is left to hear of one that is done is read when it has ended: its zygote says so.
    if (child.done) continue;
    const bool more = !child.outbox.empty();
    watched.push_back({child.messages.get(), static_cast<short>(more ? POLLIN | POLLOUT : POLLIN), 0});
    watched.push_back({child.output.get(), POLLIN, 0});
    children.push_back(&child);
  }
  if (::poll(watched.data(), watched.size(), timeout_ms(until)) <= 0) return;
  auto at = watched.begin();
  if (at++->revents != 0) read_signals(happenings);
  const auto of_nurseries = at;
  at += static_cast<std::ptrdiff_t>(nurseries.size());
  for (Child *child : children) {
    const short messages = at++->revents, output = at++->revents;
    if ((messages & POLLOUT) != 0 && !child->outbox.flush(child->messages.get())) child->outbox = {};
    if ((messages & (POLLIN | POLLHUP | POLLERR)) != 0) read_messages(*child, happenings);
    if (output != 0) read_output(*child, happenings);
  }
  for (std::size_t i = 0; i < nurseries.size(); ++i) {
    if (of_nurseries[static_cast<std::ptrdiff_t>(i)].revents != 0) reap(*nurseries[i], happenings);
  }
}

void ProcessRunner::read_signals(std::vector<Happening> &happenings) {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    interrupted_ = true;
    happenings.emplace_back().interrupt = static_cast<int>(info.ssi_signo);
  }
}

bool ProcessRunner::read_messages(Child &child, std::vector<Happening> &happenings) {
  try {
    for (int reads = 0; reads < kReadsPerTurn && child.messages; ++reads) {
      const ssize_t got =
          ::recv(child.messages.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return false;
      if (got <= 0) {
        child.messages.reset();
        return false;
      }
      // MSG_TRUNC gives the real length: no packet of ours is longer than the buffer.
      if (static_cast<std::size_t>(got) > buffer_.size()) throw WireError();
      const auto message = child.assembler.add({buffer_.data(), static_cast<std::size_t>(got)});
      if (!message) continue;
      for (WireReader reports(*message); !reports.empty();) {
        hear(child, decode_report(reports.text()), happenings);
      }
    }
  } catch (const WireError &) {
    child.problem = fmt::format("plugin '{}' wrote garbage to the runner's socket", child.uses);
    child.messages.reset();
    child.from->zygote.signal(child.number, SIGKILL);
  }
  return static_cast<bool>(child.messages);
}

void ProcessRunner::hear(Child &child, StepReport report, std::vector<Happening> &happenings) {
  if (const auto *remember = std::get_if<RememberReport>(&report)) return obey(child, *remember);
  child.done = child.done || std::holds_alternative<DoneReport>(report);
  happenings.push_back({child.node, std::move(report), 0});
}

void ProcessRunner::obey(Child &child, const RememberReport &report) {
  child.outbox.add(encode(RememberAnswer{memory_.remember(child.id, report.key, report.value)}));
  child.outbox.flush(child.messages.get());
}

void ProcessRunner::read_output(Child &child, std::vector<Happening> &happenings) {
  for (int reads = 0; reads < kReadsPerTurn && child.output; ++reads) {
    const ssize_t got = ::read(child.output.get(), buffer_.data(), buffer_.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return child.output.reset();
    happenings.push_back({child.node, TextReport{buffer_.substr(0, static_cast<std::size_t>(got))}, 0});
  }
}

void ProcessRunner::reap(Nursery &nursery, std::vector<Happening> &happenings) {
  while (const auto ended = nursery.zygote.read()) {
    if (nursery.spare && nursery.spare->number == ended->number) nursery.spare.reset();
    const auto at = children_.find(ended->number);
    if (at == children_.end()) continue;
    end(at->second, *ended, happenings);
    children_.erase(at);
  }
  if (!nursery.zygote.gone()) return;
  if (&nursery == &nurseries_.front()) throw_zygote_gone();
  // Either its plugin does not let itself be loaded ahead, or something killed it, and its steps with it.
  nursery.spare.reset();
  for (auto at = children_.begin(); at != children_.end();) {
    const auto current = at++;
    if (current->second.from != &nursery) continue;
    end(current->second, {.number = current->first, .signal = SIGKILL}, happenings);
    children_.erase(current);
  }
}

void ProcessRunner::end(Child &child, const ZygoteReport &ended, std::vector<Happening> &happenings) {
  // All that it said before it went is in the socket; both may have a writer left that it forked.
  for (int turn = 0; turn < kTurnsAfterEnd && child.messages; ++turn) {
    if (!read_messages(child, happenings)) break;
  }
  read_output(child, happenings);
  ExitReport report{ended.code, ended.signal, std::move(child.problem)};
  if (ended.code == kChannelLost && report.problem.empty()) {
    report.problem =
        fmt::format("plugin '{}' closed the descriptor by which it talks to the runner", child.uses);
  }
  if (ended.start_errno != 0) {
    report.problem = fmt::format("cannot start a process: {}", std::strerror(ended.start_errno));
  }
  happenings.push_back({child.node, std::move(report), 0});
}

}  // namespace pipes
