#include "converge.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "preflight.hpp"

namespace run_step {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kStopSeconds = 10;
constexpr int kLogLines = 20;
constexpr std::size_t kLogBytes = 4000;
constexpr int kRestartsAllowed = 3;
constexpr auto kLookEvery = 200ms;  // at the engine, while nothing answers
constexpr auto kKeepsRunning = 300ms;

bool is_running(const engine::Container &container) {
  return container.state == "running" || container.state == "restarting";
}

/// Made, and never started: often what "port is already allocated" leaves. Started later, it may come up
/// without its ports.
bool never_started(const engine::Container &container) {
  return container.state == "created" || container.state == "configured" || container.state == "initialized";
}

std::string random_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

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

void pause(sdk::Run &run, std::chrono::milliseconds time) {
  pollfd cancel{run.cancel_fd(), POLLIN, 0};
  ::poll(&cancel, cancel.fd < 0 ? 0 : 1, static_cast<int>(time.count()));
  run.check_cancelled();
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
    if (container->state != "running") running_since_.reset();
    check_mapping(job_, *container);
    if (container->state == "running" || never_started(*container)) return *container;
    if (restarts && container->restart_count < kRestartsAllowed && ++times_down_ < 10) return *container;
    throw sdk::Error(PIPE_E_IO,
                     fmt::format("the container {} {} with exit code {}{}; its last log lines:\n{}", name(),
                                 restarts ? "keeps ending" : "ended", container->exit_code,
                                 container->error.empty() ? "" : " (" + container->error + ")",
                                 last_lines(job_.engine, id_)),
                     "mend what its log names, then run this again");
  }

  bool is_ready(const engine::Ready &ready, const engine::Container &container) {
    if (container.state != "running") return false;
    if (!running_since_) running_since_ = Clock::now();
    if (ready.kind == engine::Ready::Kind::none) return true;
    if (ready.kind == engine::Ready::Kind::running)
      return container.seen_earlier || Clock::now() - *running_since_ > kKeepsRunning;
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
  std::optional<Clock::time_point> running_since_;
  int times_down_ = 0;
  engine::Answer answer_;
};

engine::Container start_and_wait(Job &job, const std::string &id) {
  job.engine.start(id);
  return Readiness(job, id).wait();
}

/// Data in volumes without a name that the image declares goes over to the container that takes the place.
std::vector<engine::Mount> anonymous_volumes(const engine::Container &old,
                                             const engine::ContainerSpec &wanted) {
  std::vector<engine::Mount> list;
  for (const engine::Mount &mount : old.spec.mounts) {
    const bool anonymous = mount.type == "volume" && mount.source.size() == 64 &&
                           mount.source.find_first_not_of("0123456789abcdef") == std::string::npos;
    const bool replaced =
        std::any_of(wanted.mounts.begin(), wanted.mounts.end(),
                    [&](const engine::Mount &other) { return other.target == mount.target; });
    if (anonymous && !replaced) list.push_back(mount);
  }
  return list;
}

/// Sees to image and mounts: all that can fail before the engine's containers are touched.
std::string prepare(Job &job) {
  std::string id;
  if (job.image.stored) {
    id = engine::give(job.engine, *job.image.store, *job.image.stored, job.image.name, job.run);
  } else if (auto own = id_in_engine(job.image, job.engine)) {
    id = *own;
  } else {
    throw sdk::Error(PIPE_E_NOT_FOUND,
                     fmt::format("the image {} is neither in the store nor in the engine", job.params.image),
                     "put a `pull` step before this one");
  }
  make_mounts(job.run, job.engine, job.spec);
  return id;
}

engine::Container make(Job &job, const std::vector<engine::Mount> &kept) {
  engine::ContainerSpec spec = job.spec;
  spec.image = job.image.name;
  const std::string token = job.run.recall(token_key(job.spec.name)).value_or(random_token());
  spec.labels[std::string(engine::kSpecLabel)] = engine::spec_label(job.spec);
  spec.labels[std::string(engine::kTokenLabel)] = token;
  spec.mounts.insert(spec.mounts.end(), kept.begin(), kept.end());
  job.run.remember(token_key(job.spec.name), token);
  const std::string id = job.engine.create(spec);
  try {
    return start_and_wait(job, id);
  } catch (const sdk::Error &error) {
    // Cancelled: what there is stays, and the next run goes on with it.
    if (error.status != PIPE_E_CANCELLED) job.engine.remove(id, true);
    throw;
  }
}

/// Puts the container that was set aside back in its place; says how that went.
std::string put_back(Job &job, const engine::Container &old, bool was_running) {
  try {
    job.engine.rename(old.id, job.params.name);
    if (!was_running) return "the earlier container is back under its name";
    job.engine.start(old.id);
    return "the earlier container runs again";
  } catch (const sdk::Error &error) {
    return fmt::format("the earlier container (ID {}) could not be put back: {}", old.id.substr(0, 12),
                       error.message);
  }
}

/// Does `body` with `old` set aside, and removes it after; on failure it is put back.
template <class Body>
engine::Container with_fallback(Job &job, const engine::Container &old, bool was_running, Body body) {
  engine::Container container;
  try {
    container = body();
  } catch (sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    error.message = fmt::format("{}\n{}", error.message, put_back(job, old, was_running));
    throw;
  }
  job.engine.remove(old.id, true);
  return container;
}

engine::Container replace(Job &job, const engine::Container &old) {
  const bool was_running = is_running(old);
  job.engine.lose_sight(job.params.name);
  if (never_started(old)) {
    job.engine.remove(old.id, true);
    return make(job, anonymous_volumes(old, job.spec));
  }
  if (was_running) job.engine.stop(old.id, kStopSeconds);
  job.engine.rename(old.id, aside_name(job.params.name));
  return with_fallback(job, old, was_running, [&] { return make(job, anonymous_volumes(old, job.spec)); });
}

}  // namespace

std::string token_key(const std::string &name) {
  return "token " + name;
}

std::string aside_name(const std::string &name) {
  return name + ".replaced-by-pipe";
}

Decision decide(Job &job, const std::optional<engine::Container> &current) {
  Decision decision;
  if (!current) {
    decision.action = Action::create;
    return decision;
  }
  decision.differences = engine::differences(job.spec, *current);
  std::string image_id;
  if (job.image.manifest) {
    if (!engine::is_image(current->image_id, *job.image.manifest))
      image_id = job.image.manifest->config ? job.image.manifest->config->digest.str()
                                            : job.image.manifest->digest.str();
  } else if (auto own = id_in_engine(job.image, job.engine); own && *own != current->image_id) {
    image_id = *own;
  }
  if (!image_id.empty())
    decision.differences.insert(decision.differences.begin(),
                                {"image", current->image_id.substr(0, 19), image_id.substr(0, 19)});
  if (is_running(*current))
    for (const engine::PortBinding &port : engine::missing_ports(job.spec, *current))
      if (std::none_of(decision.differences.begin(), decision.differences.end(),
                       [](const auto &d) { return d.field == "ports"; }))
        decision.differences.push_back({"ports", "(not mapped)", engine::to_text(port)});

  if (job.params.recreate == "always") {
    decision.action = Action::replace;
    decision.reason = "`recreate` is always";
  } else if (!decision.differences.empty() && job.params.recreate != "never") {
    decision.action = Action::replace;
  } else if (never_started(*current)) {
    decision.action = Action::replace;
    decision.reason = "it was made and never started";
  } else if (!is_running(*current)) {
    decision.action = Action::start;
    decision.reason = fmt::format("it is {}", current->state);
  }
  return decision;
}

engine::Container carry_out(Job &job, const Decision &decision,
                            const std::optional<engine::Container> &current) {
  if (decision.action == Action::nothing) return Readiness(job, current->id).wait();
  check_ports(job.engine, job.spec, current ? &*current : nullptr);
  if (decision.action == Action::start) {
    make_mounts(job.run, job.engine, job.spec);
    return start_and_wait(job, current->id);
  }
  prepare(job);
  return decision.action == Action::create ? make(job, {}) : replace(job, *current);
}

std::optional<engine::Container> settle(Job &job) {
  auto current = job.engine.container(job.params.name);
  if (current && current->seen_earlier) return current;  // noted only once all was done
  const auto aside = job.engine.container(aside_name(job.params.name));
  if (!aside) return current;
  if (current && !current->spec.labels.contains(std::string(engine::kTokenLabel))) {
    job.run.warn(
        fmt::format("{} is left over from an earlier run: remove it when you need it no more", aside->name));
    return current;
  }
  job.run.info(
      fmt::format("an earlier run was killed while it replaced {}: going on from there", job.params.name));
  const bool good = current && is_running(*current) && decide(job, current).action == Action::nothing;
  if (!good) {
    if (current) job.engine.remove(current->id, true);
    job.engine.rename(aside->id, job.params.name);
    return job.engine.container(job.params.name);
  }
  return with_fallback(job, *aside, true, [&] {
    try {
      return Readiness(job, current->id).wait();
    } catch (const sdk::Error &error) {
      if (error.status != PIPE_E_CANCELLED) job.engine.remove(current->id, true);
      throw;
    }
  });
}

}  // namespace run_step
