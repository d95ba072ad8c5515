#include "replacement.hpp"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "readiness.hpp"

namespace run_step {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kServesAgain = 10s;  // how long the earlier container is given to answer

/// What the engine has to be told to bring back a container that was set aside.
struct Earlier {
  std::string id;
  std::string restart;  // its policy
  bool served = true;   // it ran
};

/// Goes on where the step was told to stop: what is half done is taken back first.
class Undisturbed final : public sdk::Observer {
 public:
  explicit Undisturbed(sdk::Observer &told) : told_(told) {}
  void log(sdk::Level level, std::string_view message) override { told_.log(level, message); }
  void progress(const sdk::Progress &) override {}
  bool cancelled() const override { return false; }
  int cancel_fd() const override { return -1; }

 private:
  sdk::Observer &told_;
};

/// Lets what is half done be taken back although the step is hurried on: SIGTERM comes some seconds after the
/// order to stop, and would end it in the middle. SIGKILL, which comes last, still does.
class HeldOffSigterm {
 public:
  HeldOffSigterm() {
    ::sigaction(SIGTERM, nullptr, &before_);
    if (before_.sa_handler != SIG_DFL) return;  // pipe's own process, which has its reasons
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGTERM, &ignore, nullptr);
  }
  ~HeldOffSigterm() { ::sigaction(SIGTERM, &before_, nullptr); }
  HeldOffSigterm(const HeldOffSigterm &) = delete;
  HeldOffSigterm &operator=(const HeldOffSigterm &) = delete;

 private:
  struct sigaction before_ {};
};

std::string random_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

bool restarts(const std::string &policy) {
  return !policy.empty() && policy != "no";
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

/// A container that was made, and the files that were made for it.
struct Made {
  std::string id;
  std::vector<engine::Mount> secrets;
};

/// Whom the files with secrets are given to: the container's user, else the image's.
Owner reader_of_secrets(Job &job) {
  std::string user = job.spec.user;
  if (user.empty())
    if (const auto image = job.engine.image(job.image.name)) user = image->user;
  if (user.empty() || user == "root") return {0, 0};
  const Owner owner = owner_of(user);
  if (!owner.uid)
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("secrets are given to the container's user, and `{}` is a name "
                                 "that only the image knows",
                                 user),
                     "write `user` in numbers, such as 1000:1000");
  return {owner.uid, owner.gid.value_or(*owner.uid)};
}

std::vector<engine::Mount> write_secrets(Job &job) {
  const engine::Secrets secrets = secrets_of(job.params);
  if (secrets.empty()) return {};
  if (!job.engine.on_this_machine())
    throw sdk::Error(PIPE_E_INVALID, "secrets are files of this machine, and the engine is on another",
                     "run this there");
  const Owner owner = reader_of_secrets(job);
  return engine::write_secrets(job.engine, job.spec.name, secrets, *owner.uid, *owner.gid);
}

/// Makes the container that is wanted, and does not start it; `old`, if there is one, is the one it replaces.
/// What it made until it throws is in `made`.
void create(Job &job, const engine::Container *old, Made &made) {
  engine::ContainerSpec spec = job.spec;
  spec.image = job.image.name;
  const std::string token = job.run.recall(token_key(job.spec.name)).value_or(random_token());
  spec.labels[std::string(engine::kSpecLabel)] = engine::spec_label(job.spec);
  spec.labels[std::string(engine::kTokenLabel)] = token;
  if (old != nullptr) {
    spec.labels[std::string(engine::kReplacesLabel)] =
        engine::replaces_label({old->spec.restart, is_running(*old)});
    const auto kept = anonymous_volumes(*old, spec);
    spec.mounts.insert(spec.mounts.end(), kept.begin(), kept.end());
  }
  made.secrets = write_secrets(job);
  spec.mounts.insert(spec.mounts.end(), made.secrets.begin(), made.secrets.end());
  job.run.remember(token_key(job.spec.name), token);
  made.id = job.engine.create(spec);
  for (const engine::NetworkJoin &network : spec.networks) job.engine.join_network(made.id, network);
}

void discard(engine::Engine &engine, const Made &made) {
  if (!made.id.empty()) engine.remove(made.id, true);
  engine::remove_secrets(made.secrets);
}

/// Waits a moment until one of its published ports answers; what it said last otherwise.
std::string answers_again(engine::Engine &engine, const std::string &id, sdk::Observer &observer) {
  const auto limit = Clock::now() + kServesAgain;
  std::string detail;
  while (Clock::now() < limit) {
    const auto container = engine.container(id);
    if (!container) return "it was removed by someone else";
    if (container->state == "running") {
      const auto ready = engine::Ready::parse("", container->bound_ports, engine.version().host);
      const engine::Answer answer = engine::ask(ready, observer);
      if (answer.ready) return {};
      detail = answer.detail;
    } else {
      detail = "it is " + container->state;
    }
    pause(observer, 100ms);
  }
  return detail;
}

/// Puts the container that was set aside back in its place; says how that went.
std::string put_back(engine::Engine &engine, const Earlier &earlier, const std::string &name,
                     sdk::Observer *patient) {
  bool renamed = false;
  try {
    engine.rename(earlier.id, name);
    renamed = true;
    if (restarts(earlier.restart)) engine.set_restart(earlier.id, earlier.restart);
    if (!earlier.served) return "the earlier container is back under its name";
    engine.start(earlier.id);
  } catch (const sdk::Error &error) {
    if (!renamed)
      return fmt::format("the earlier container, now {}, could not be put back: {}", aside_name(name),
                         error.message);
    return fmt::format("the earlier container is back under its name, but could not be started: {}",
                       error.message);
  }
  const std::string problem = patient == nullptr ? "" : answers_again(engine, earlier.id, *patient);
  return "the earlier container runs again" + (problem.empty() ? "" : ", but does not answer: " + problem);
}

/// Takes the new container away, if it was made, and puts the earlier one back.
std::string take_back(engine::Engine &engine, const Made &made, const Earlier &earlier,
                      const std::string &name, sdk::Observer *patient) {
  try {
    discard(engine, made);
  } catch (const sdk::Error &error) {
    return fmt::format(
        "the earlier container could not be put back, as the new one could not be removed: "
        "{}\nrun this again once the engine answers: it goes on from there",
        error.message);
  }
  return put_back(engine, earlier, name, patient);
}

/// What is known of a container that an earlier run set aside, from the one that was to replace it.
Earlier earlier_of(const engine::Container &aside, const engine::Container *successor) {
  // Without a successor nothing says so: it was not stopped before there was one.
  Earlier earlier{aside.id, engine::asked_restart(aside).value_or(aside.spec.restart), true};
  if (successor == nullptr) return earlier;
  if (const auto note = engine::read_replaces_label(*successor)) {
    earlier.restart = note->restart;
    earlier.served = note->running;
  }
  return earlier;
}

/// Done with the container that was set aside. What someone else made can't be made again from a pipeline.
void retire(Job &job, const engine::Container &old) {
  if (is_made_by_pipe(old)) return discard(job.engine, {old.id, old.spec.mounts});
  const std::string kept = kept_name(job.engine, job.params.name);
  try {
    job.engine.rename(old.id, kept);
  } catch (const sdk::Error &error) {  // one of `docker run --rm` goes when it is stopped
    if (error.status == PIPE_E_CANCELLED) throw;
    return job.run.warn(fmt::format("the earlier {} could not be kept: {}", job.params.name, error.message));
  }
  if (restarts(old.spec.restart) && !job.engine.set_restart(old.id, "no"))
    job.run.warn(
        fmt::format("{} keeps the restart policy {}, which this engine can't change: remove it before this "
                    "machine starts again, or it may take the port of {}",
                    kept, old.spec.restart, job.params.name));
}

/// Whether what a killed run put in place does its work, so that what it replaced is needed no more.
bool works(Job &job, const engine::Container &current) {
  if (!is_running(current)) return false;
  try {
    if (decide(job, current).action == Action::nothing)
      return wait_until_ready(job, current.id).state == "running";
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    job.run.warn(error.message);
    return false;
  }
  // It was asked for with other settings, so it can't be told when it is ready: it has to answer now.
  return engine::ask(engine::Ready::parse("", current.bound_ports, job.engine.version().host), job.run).ready;
}

}  // namespace

std::string aside_name(const std::string &name) {
  return name + ".replaced-by-pipe";
}

std::string kept_name(engine::Engine &engine, const std::string &name) {
  const std::string kept = name + ".before-pipe";
  int number = 1;
  std::string free = kept;
  while (engine.container(free)) free = fmt::format("{}-{}", kept, ++number);
  return free;
}

bool is_made_by_pipe(const engine::Container &container) {
  return container.spec.labels.contains(std::string(engine::kTokenLabel));
}

engine::Container make(Job &job) {
  Made made;
  try {
    create(job, nullptr, made);
    return start_and_wait(job, made.id);
  } catch (sdk::Error &error) {
    // Told to stop: what there is stays, and the next run goes on with it.
    if (error.status == PIPE_E_CANCELLED) throw;
    try {
      discard(job.engine, made);
    } catch (const sdk::Error &second) {  // what went wrong first is what has to be known
      error.message += fmt::format("\nthe container stays, as it could not be removed: {}", second.message);
    }
    throw;
  }
}

engine::Container replace(Job &job, const engine::Container &old) {
  const std::string &name = job.params.name;
  job.engine.lose_sight(name);
  const Earlier earlier{old.id, old.spec.restart, is_running(old)};
  Made made;
  job.engine.rename(old.id, aside_name(name));
  engine::Container container;
  try {
    create(job, &old, made);
    // An engine that starts again would start both of them otherwise, and they would fight for the port.
    if (restarts(old.spec.restart)) job.engine.set_restart(old.id, "no");
    if (is_running(old)) job.engine.stop(old.id, stop_seconds(old));
    container = start_and_wait(job, made.id);
  } catch (sdk::Error &error) {
    if (error.status != PIPE_E_CANCELLED) {
      error.message += "\n" + take_back(job.engine, made, earlier, name, &job.run);
    } else {
      const HeldOffSigterm patience;
      Undisturbed calm(job.run);
      job.run.warn(fmt::format("told to stop while it replaced {}: the earlier container is put back", name));
      engine::Engine again = engine::Engine::connect(job.endpoint, calm);
      job.run.warn(take_back(again, made, earlier, name, nullptr));
    }
    throw;
  }
  retire(job, old);
  return container;
}

std::optional<engine::Container> settle(Job &job) {
  const std::string &name = job.params.name;
  auto current = job.engine.container(name);
  if (current && current->seen_earlier) return current;  // noted only once all was done
  const auto aside = job.engine.container(aside_name(name));
  if (!aside) return current;
  if (current && !is_made_by_pipe(*current)) {
    job.run.warn(
        fmt::format("{} is left over from an earlier run: remove it when you need it no more", aside->name));
    return current;
  }
  job.run.info(fmt::format("an earlier run was stopped while it replaced {}: going on from there", name));
  if (current && works(job, *current)) {
    retire(job, *aside);
    return job.engine.container(name);
  }
  const Earlier earlier = earlier_of(*aside, current ? &*current : nullptr);
  const Made made = current ? Made{current->id, current->spec.mounts} : Made{};
  job.run.info(take_back(job.engine, made, earlier, name, nullptr));
  return job.engine.container(name);
}

int stop_seconds(const engine::Container &container) {
  constexpr int kUsual = 10;
  return container.spec.stop_timeout > 0 ? static_cast<int>(container.spec.stop_timeout) : kUsual;
}

std::string put_back(engine::Engine &engine, const engine::Container &aside, const std::string &name) {
  return put_back(engine, earlier_of(aside, nullptr), name, nullptr);
}

}  // namespace run_step
