#include "readiness.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

namespace run_step {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kLogLines = 20;
constexpr std::size_t kLogBytes = 4000, kHealthLog = 300;
constexpr int kRestartsAllowed = 3, kTimesDown = 10;
constexpr auto kLookEvery = 200ms;  // at the engine, while nothing answers
constexpr auto kKeepsRunning = 1s;  // an engine may say "running" of one that has just ended

std::string last_lines(engine::Engine &engine, const std::string &id) {
  std::string log;
  try {
    log = engine.logs(id, kLogLines);
  } catch (const sdk::Error &error) {
    return fmt::format("(its log can't be read: {})", error.message);
  }
  while (log.ends_with('\n')) log.pop_back();
  if (log.size() > kLogBytes) log.erase(0, log.size() - kLogBytes);
  return log.empty() ? "(it wrote nothing)" : log;
}

void check_mapping(Job &job, const engine::Container &container) {
  const auto missing = engine::missing_ports(job.spec, container);
  if (missing.empty() || container.state != "running") return;
  throw sdk::Error(PIPE_E_IO,
                   fmt::format("the container {} was started without its port {}", container.name,
                               engine::to_text(missing.front())),
                   "see the engine's log; does it manage iptables on this machine?");
}

/// Waits until a container that was started does its work.
class Readiness {
 public:
  Readiness(Job &job, std::string id) : job_(job), id_(std::move(id)) {}

  /// Returns the container as it is then. Throws PIPE_E_IO (it ended), PIPE_E_TIMEOUT, with the last lines
  /// of its log.
  engine::Container wait() {
    const auto limit = Clock::now() + job_.params.ready_timeout;
    auto delay = 4ms;
    for (;;) {
      const engine::Container container = look();
      const engine::Ready ready =
          engine::Ready::parse(job_.params.ready, container.bound_ports, job_.engine.version().host);
      for (const auto look_again = Clock::now() + kLookEvery; Clock::now() < look_again;) {
        if (is_ready(ready, container)) return container;
        if (Clock::now() > limit) give_up(ready);
        pause(job_.run, delay);
        delay = std::min<std::chrono::milliseconds>(delay * 3 / 2, 100ms);
      }
    }
  }

 private:
  engine::Container look() {
    auto container = job_.engine.container(id_);
    if (!container)
      throw sdk::Error(PIPE_E_IO, fmt::format("the container {} was removed by someone else", name()));
    const bool restarts = !container->spec.restart.empty() && container->spec.restart != "no";
    const bool runs = container->state == "running";
    // One that ends at once and is started again may be found running each time: as another process.
    const bool ended = !runs || (restarts && pid_ != 0 && container->pid != pid_);
    if (ended) running_since_.reset();
    pid_ = runs ? container->pid : 0;
    if (runs) {
      if (!running_since_) running_since_ = Clock::now();
      ran_for_ = Clock::now() - *running_since_;
    } else if (!never_started(*container)) {
      exit_ = fmt::format(" with exit code {}", container->exit_code);
    }
    if (job_.params.ready == "healthy" && !container->seen_earlier) look_at_health(*container);
    check_mapping(job_, *container);
    if (!ended || never_started(*container)) return *container;
    ++times_down_;
    const bool often =
        container->restart_count >= kRestartsAllowed && (!runs || times_down_ > kRestartsAllowed);
    if (restarts && !often && times_down_ < kTimesDown) return *container;
    throw sdk::Error(PIPE_E_IO,
                     fmt::format("the container {} {}{}{}; its last log lines:\n{}", name(),
                                 restarts ? "keeps ending" : "ended", exit_,
                                 container->error.empty() ? "" : " (" + container->error + ")",
                                 last_lines(job_.engine, id_)),
                     "mend what its log names, then run this again");
  }

  void look_at_health(engine::Container &container) {
    if (container.state != "running") return;
    if (container.health.empty())
      throw sdk::Error(PIPE_E_INVALID,
                       fmt::format("ready: the container {} has no health check to be healthy by", name()),
                       "give it one in `health`, or leave `ready` out");
    const bool podman = job_.engine.version().name == "podman";
    if (podman && container.health != "healthy") {
      const std::string now = job_.engine.check_health(id_);
      if (!now.empty()) container.health = now;
    }
    answer_.detail = fmt::format("{}{}{}", container.health, container.health_log.empty() ? "" : ": ",
                                 container.health_log.substr(0, kHealthLog));
    // Podman was asked more often than its interval says, so it came to that sooner than it should.
    if (!podman && container.health == "unhealthy") give_up(engine::Ready::parse("healthy", {}, ""));
  }

  bool is_ready(const engine::Ready &ready, const engine::Container &container) {
    if (container.state != "running") return false;
    if (ready.kind == engine::Ready::Kind::none) return true;
    if (ready.kind == engine::Ready::Kind::healthy)
      return container.seen_earlier || container.health == "healthy";
    if (ready.kind == engine::Ready::Kind::running) return container.seen_earlier || ran_for_ > kKeepsRunning;
    answer_ = engine::ask(ready, job_.run);
    return answer_.ready;
  }

  [[noreturn]] void give_up(const engine::Ready &ready) {
    throw sdk::Error(
        PIPE_E_TIMEOUT,
        fmt::format("the container {} did not get ready within {} s: {}: {}; its last log lines:\n{}", name(),
                    std::chrono::duration<double>(job_.params.ready_timeout).count(), ready.str(),
                    answer_.detail.empty() ? "it does not keep running" : answer_.detail,
                    last_lines(job_.engine, id_)),
        "is that the right thing to ask (`ready`), and is there time enough (`ready_timeout`)?");
  }

  const std::string &name() const { return job_.params.name; }

  Job &job_;
  std::string id_;
  std::int64_t pid_ = 0;
  std::optional<Clock::time_point> running_since_;
  Clock::duration ran_for_{};  // when it was last looked at
  int times_down_ = 0;
  std::string exit_;  // " with exit code 2", of the last one that was seen ended
  engine::Answer answer_;
};

}  // namespace

engine::Container wait_until_ready(Job &job, const std::string &id) {
  return Readiness(job, id).wait();
}

engine::Container start_and_wait(Job &job, const std::string &id) {
  job.engine.start(id);
  return wait_until_ready(job, id);
}

void pause(const sdk::Observer &observer, std::chrono::milliseconds time) {
  pollfd cancel{observer.cancel_fd(), POLLIN, 0};
  ::poll(&cancel, cancel.fd < 0 ? 0 : 1, static_cast<int>(time.count()));
  observer.check_cancelled();
}

}  // namespace run_step
