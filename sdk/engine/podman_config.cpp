#include "podman_config.hpp"

#include <fmt/core.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "places.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;

namespace {

/// What podman asks for as root: both limits, soft and hard (libpod, RLimitDefaultValue).
constexpr std::uint64_t kPodmanLimit = 1048576;

bool is_cgroup2(const char *path) {
  struct statfs found {};
  return ::statfs(path, &found) == 0 && found.f_type == CGROUP2_SUPER_MAGIC;
}

std::uint64_t hard_limit(__rlimit_resource resource) {
  rlimit limit{};
  return ::getrlimit(resource, &limit) == 0 ? limit.rlim_max : RLIM_INFINITY;
}

bool has_capability(int capability) {
  const std::string status = read_text("/proc/self/status");
  const auto at = status.find("CapEff:");
  if (at == std::string::npos) return true;
  const unsigned long long effective = std::strtoull(status.c_str() + at + 7, nullptr, 16);
  return (effective >> capability & 1) != 0;
}

}  // namespace

MachineFacts machine_facts() {
  MachineFacts facts;
  facts.crun = !find_program("crun").empty();
  facts.runc = !find_program("runc").empty();
  facts.hybrid_cgroups = !is_cgroup2("/sys/fs/cgroup") && is_cgroup2("/sys/fs/cgroup/unified") &&
                         read_text("/sys/fs/cgroup/unified/cgroup.controllers").size() > 1;
  facts.root = ::geteuid() == 0;
  facts.may_raise_limits = has_capability(CAP_SYS_RESOURCE);
  facts.open_files = hard_limit(RLIMIT_NOFILE);
  facts.processes = hard_limit(RLIMIT_NPROC);
  facts.pid_max = std::strtoull(read_text("/proc/sys/kernel/pid_max").c_str(), nullptr, 10);
  return facts;
}

PodmanConfig needed_config(const MachineFacts &facts) {
  PodmanConfig config;
  std::string limits;
  if (facts.root && !facts.may_raise_limits) {
    // Rootless podman asks for what it has itself; as root it asks for kPodmanLimit, whatever the hard limits
    // are. Its own number of processes it lowers to pid_max where it may.
    std::string shown;
    const auto lower = [&](const char *name, std::uint64_t limit) {
      if (limit >= kPodmanLimit) return;
      limits += fmt::format("{}\"{}={}:{}\"", limits.empty() ? "" : ", ", name, limit, limit);
      shown += fmt::format("{}{} {}", shown.empty() ? "" : ", ", name, limit);
    };
    lower("nofile", facts.open_files);
    lower("nproc", std::min(facts.processes, facts.pid_max));
    if (!limits.empty()) config.reasons.push_back(fmt::format("limits that need not be raised ({})", shown));
  }
  const bool needs_runc = facts.crun && facts.runc && facts.hybrid_cgroups;
  if (needs_runc) config.reasons.emplace_back("runc, as crun refuses this machine's hybrid cgroups");
  if (!limits.empty()) config.text += "[containers]\ndefault_ulimits = [" + limits + "]\n";
  if (needs_runc) config.text += "[engine]\nruntime = \"runc\"\n";
  return config;
}

bool podman_is_configured() {
  if (!env("CONTAINERS_CONF").empty() || !env("CONTAINERS_CONF_OVERRIDE").empty()) return true;
  const std::string set = env("XDG_CONFIG_HOME");
  const fs::path own = (set.empty() ? home() / ".config" : fs::path(set)) / "containers";
  std::error_code error;
  for (const fs::path &folder : {fs::path("/etc/containers"), own})
    if (fs::exists(folder / "containers.conf", error) || fs::exists(folder / "containers.conf.d", error))
      return true;
  return false;
}

}  // namespace pipes::engine
