#include "maintenance.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <pipe/engine/host.hpp>

#include <algorithm>

namespace gc {
namespace {

using Clock = std::chrono::steady_clock;
using sdk::Error;

constexpr int kStopSeconds = 30;  // for uploads that are nearly done
constexpr int kLogLines = 10;
constexpr auto kAgain = std::chrono::milliseconds(100);
// As one value: REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED makes Distribution 2 panic.
constexpr const char *kReadOnly = "REGISTRY_STORAGE_MAINTENANCE_READONLY";
constexpr const char *kYes = R"({"enabled":true})";
constexpr const char *kLabel = "pipe.gc";

bool runs(const engine::Container &container) {
  return container.state == "running";
}

}  // namespace

bool Maintenance::left_over() {
  engine_.lose_sight(name_);
  return engine_.container(stand_in()).has_value();
}

engine::Container Maintenance::container() {
  engine_.lose_sight(name_);
  auto found = engine_.container(name_);
  if (!found)
    throw Error(PIPE_E_NOT_FOUND, fmt::format("there is no container {}", name_),
                "name the registry's container, as its engine does");
  if (!runs(*found))
    throw Error(PIPE_E_NOT_FOUND, fmt::format("the container {} is {}, not running", name_, found->state),
                "start it first; garbage is collected in the registry that serves");
  return *std::move(found);
}

std::string Maintenance::begin(const engine::Container &container) {
  engine::ContainerSpec spec = container.spec;
  spec.name = stand_in();
  spec.image = container.image_id.empty() ? container.image : container.image_id;
  spec.has_command = !spec.command.empty();
  spec.has_entrypoint = !spec.entrypoint.empty();
  spec.hostname.clear();  // the engine's own, of the first one
  spec.restart = "no";    // after a restart of the engine, the first one serves
  spec.labels = {{kLabel, name_}};
  spec.env[kReadOnly] = kYes;
  const std::string id = engine_.create(spec);
  engine_.stop(container.id, kStopSeconds);
  engine_.start(id);
  wait_until_it_answers(id);
  return id;
}

void Maintenance::end() {
  const auto second = engine_.container(stand_in());
  if (!second) return;
  const auto first = engine_.container(name_);
  if (!first)
    throw Error(
        PIPE_E_NOT_FOUND,
        fmt::format("the container {} was removed, and {} serves in its place, read-only", name_, stand_in()),
        fmt::format("make {} again (its data is where it was), then remove {}", name_, stand_in()));
  if (runs(*second))
    engine_.stop(second->id, 0);  // it has nothing to lose, and whoever interrupts waits seconds only
  if (!runs(*first)) engine_.start(first->id);
  wait_until_it_answers(first->id);
  engine_.remove(second->id, true);
}

void Maintenance::wait_until_it_answers(const std::string &id) {
  const auto limit = Clock::now() + patience_;
  for (std::string why = "it does not keep running";;) {
    const auto container = engine_.container(id);
    if (container && runs(*container)) {
      const auto ready = engine::Ready::parse("", container->bound_ports, engine_.version().host);
      const engine::Answer answer = engine::ask(ready, observer_);
      if (answer.ready) return;
      why = answer.detail;
    } else if (!container || container->state == "exited" || container->state == "dead") {
      throw Error(PIPE_E_IO, fmt::format("the registry does not come up; its last log lines:\n{}",
                                         engine_.logs(id, kLogLines)));
    }
    if (Clock::now() > limit)
      throw Error(PIPE_E_TIMEOUT, fmt::format("the registry does not answer: {}; its last log lines:\n{}",
                                              why, engine_.logs(id, kLogLines)));
    pollfd cancel{observer_.cancel_fd(), POLLIN, 0};
    ::poll(&cancel, cancel.fd < 0 ? 0 : 1, static_cast<int>(kAgain.count()));
    observer_.check_cancelled();
  }
}

}  // namespace gc
