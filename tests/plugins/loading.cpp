// Does things while it is loaded, which happens once for many steps where that does no harm. The variable
// PIPE_TEST_LOADING says what; `zygote:` before it: only there.
#include <pipe/plugin.hpp>

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

namespace {
using namespace pipes::sdk;

pid_t loaded_in;

bool in_zygote() {
  std::string name;
  std::getline(std::ifstream("/proc/self/comm"), name);
  return name == "pipe-zygote";
}

void misbehave(std::string_view how) {
  if (how == "crash") std::abort();
  if (how == "exit") std::exit(0);
  if (how == "hang") {
    for (;;) pause();
  }
  if (how == "thread") std::thread([] { pause(); }).detach();
  static int descriptors[2];
  if (how == "descriptor" && pipe(descriptors) != 0) std::abort();
  if (how == "shared-memory") mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (how == "child" && fork() == 0) {
    sleep(60);
    _exit(0);
  }
  if (how == "output") dprintf(STDOUT_FILENO, "said while it was loaded\n");
  if (how == "child-signal") signal(SIGCHLD, SIG_IGN);
  if (how == "mask") {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
  }
}

__attribute__((constructor)) void load() {
  loaded_in = getpid();
  const char *told = std::getenv("PIPE_TEST_LOADING");
  std::string_view how = told == nullptr ? "" : told;
  constexpr std::string_view kZygote = "zygote:";
  if (how.starts_with(kZygote)) {
    if (!in_zygote()) return;
    how.remove_prefix(kZygote.size());
  }
  misbehave(how);
}

struct Params {
  bool kill_zygote = false;
};
struct Outputs {
  bool loaded_here = false, blocked = false, core = false;
  std::int64_t pid = 0, group = 0, parent = 0;
};
constexpr Schema kLoading{
    "loading", "0.1.0", "Say where the plugin was loaded",
    std::tuple{
        field("kill_zygote", &Params::kill_zygote,
              {.help = "Kill the process that loaded the plugin, if that is another", .fallback = "false"})},
    std::tuple{field("loaded_here", &Outputs::loaded_here, {.help = "In the process of this step"}),
               field("blocked", &Outputs::blocked, {.help = "Whether SIGUSR1, and SIGTERM, are blocked"}),
               field("core", &Outputs::core, {.help = "Whether it may leave a core"}),
               field("pid", &Outputs::pid, {.help = "This process"}),
               field("group", &Outputs::group, {.help = "Its process group"}),
               field("parent", &Outputs::parent, {.help = "Its parent"})}};

bool is_blocked(int number) {
  sigset_t set;
  sigprocmask(SIG_SETMASK, nullptr, &set);
  return sigismember(&set, number) == 1;
}

void run(Run &run, const Params &params) {
  if (params.kill_zygote && loaded_in != getpid()) {
    kill(getppid(), SIGKILL);
    sleep(60);
  }
  rlimit core{};
  getrlimit(RLIMIT_CORE, &core);
  run.output("loaded_here", loaded_in == getpid());
  run.output("blocked", is_blocked(SIGUSR1) || is_blocked(SIGTERM));
  run.output("core", core.rlim_cur != 0);
  run.output("pid", std::int64_t{getpid()});
  run.output("group", std::int64_t{getpgrp()});
  run.output("parent", std::int64_t{getppid()});
}

}  // namespace

PIPE_PLUGIN(kLoading, Params, nullptr, run, nullptr);
