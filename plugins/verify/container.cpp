#include "check.hpp"
#include "diagnosis.hpp"

#include <pipe/engine/engine.hpp>
#include <pipe/http/client.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace verify {
namespace {

constexpr int kLogLines = 10;

std::string text_of(const std::vector<pipes::engine::PortBinding> &ports) {
  std::string text;
  for (const auto &port : ports) {
    if (!text.empty()) text += ", ";
    text +=
        fmt::format("{}:{}->{}", port.host_ip.empty() ? "*" : port.host_ip, port.host_port, port.container);
  }
  return text;
}

void last_log_lines(pipes::engine::Engine &engine, const std::string &id, Result &result) {
  std::string log = engine.logs(id, kLogLines);
  while (log.ends_with('\n')) log.pop_back();
  if (!log.empty()) result.cause += fmt::format("; its last log lines:\n{}", log);
}

/// A container that does not run: why, as far as its state tells.
void not_running(pipes::engine::Engine &engine, const pipes::engine::Container &c, Result &result) {
  result.status = PIPE_E_MISMATCH;
  result.came = c.state;
  if (c.state == "exited" || c.state == "restarting" || c.state == "dead") {
    result.came += fmt::format(", exit code {}", c.exit_code);
    if (c.restart_count > 0) result.came += fmt::format(", restarted {} times", c.restart_count);
    result.cause = c.state == "restarting"
                       ? "its program ends as soon as it is started: a setting or a volume that it can't use"
                       : "its program has ended";
    if (!c.error.empty()) result.cause += fmt::format(" ({})", c.error);
    last_log_lines(engine, c.id, result);
    result.remedy = "mend what the log names, then run the step that starts it again";
  } else if (c.state == "created") {
    result.cause = c.error.empty() ? "it was never started: often its port was taken" : c.error;
    result.remedy =
        "remove it and run the step that makes it again: started by hand, it may come up without its ports";
  } else {
    result.cause = fmt::format("somebody put it into the state {}", c.state);
    result.remedy = c.state == "paused" ? "unpause it" : "start it again";
  }
}

/// The port that `registry` names, when that is this machine; empty where it can't be told.
std::string local_port(const std::string &registry) {
  if (registry.empty()) return {};
  const auto origin = pipes::http::Origin::of("http://" + registry);
  if (!origin.loopback()) return {};
  return std::to_string(origin.port);
}

void check_ports(const pipes::engine::Container &c, const std::string &registry, Result &result) {
  if (c.spec.network == "host") return;
  if (!c.spec.ports.empty() && c.bound_ports.empty()) {
    result.status = PIPE_E_MISMATCH;
    result.came += fmt::format(", without the ports it was made with ({})", text_of(c.spec.ports));
    result.cause =
        "the engine started it without its port mapping, as happens after \"port is already allocated\"";
    result.remedy = "remove it and run the step that makes it again";
    return;
  }
  const std::string port = local_port(registry);
  const auto is_it = [&](const pipes::engine::PortBinding &b) { return b.host_port == port; };
  if (port.empty() || std::ranges::any_of(c.bound_ports, is_it)) return;
  result.status = PIPE_E_MISMATCH;
  result.cause = fmt::format("it does not publish port {} of this machine, which {} names", port, registry);
  result.remedy =
      fmt::format("give it \"127.0.0.1:{}:5000\" in `ports`, or verify the address it does publish", port);
}

}  // namespace

Result check_container(const std::string &name, const std::string &engine_name, const std::string &registry,
                       sdk::Observer &observer) {
  Result result{.check = "container", .asked = fmt::format("the engine for container {}", name)};
  try {
    auto engine = pipes::engine::Engine::connect(engine_name, observer);
    const auto container = engine.container(name);
    if (!container) {
      result.came = "there is none";
      result.status = PIPE_E_NOT_FOUND;
      result.cause =
          fmt::format("{} has no container {}, running or stopped", engine.version().endpoint, name);
      result.remedy = "run the step that makes it, or name another engine with `engine`";
      return result;
    }
    if (container->state != "running") {
      not_running(engine, *container, result);
      return result;
    }
    result.came = container->seen_earlier ? "running still, as seen earlier" : "running";
    if (!container->bound_ports.empty()) result.came += " at " + text_of(container->bound_ports);
    if (container->restart_count > 0) {
      result.came += fmt::format(", restarted {} times", container->restart_count);
      result.cause = "its program ended before and was started again; it may be doing so again and again";
      result.remedy = "read its log";
    }
    check_ports(*container, registry, result);
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    result.came = error.message;
    result.status = error.status;
    result.remedy = error.hint;
  }
  return result;
}

}  // namespace verify
