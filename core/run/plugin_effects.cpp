#include "core/run/plugin_effects.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace pipes {
namespace {

namespace fs = std::filesystem;

/// How many entries a folder has; 0 if it cannot be read.
std::size_t count_entries(const char *folder) {
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  std::size_t count = 0;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) ++count;
  return error ? 0 : count;
}

std::size_t count_shared_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  // 7f0000000000-7f0000001000 rw-s …
  for (std::string range, access, rest; maps >> range >> access && std::getline(maps, rest);) {
    if (access.ends_with('s')) ++count;
  }
  return count;
}

bool has_children() {
  siginfo_t child{};
  return ::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/// A zygote learns by it that a step has ended.
bool child_signal_is_taken() {
  struct sigaction action {};
  return ::sigaction(SIGCHLD, nullptr, &action) != 0 || action.sa_handler != SIG_DFL;
}

}  // namespace

PluginEffects::PluginEffects() : output_(::memfd_create("output", MFD_CLOEXEC)) {
  for (const int standard : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(output_.get(), standard);
  descriptors_ = count_entries("/proc/self/fd");
  shared_memory_ = count_shared_mappings();
}

bool PluginEffects::reach_other_steps() const {
  struct stat output {};
  return ::fstat(output_.get(), &output) != 0 || output.st_size != 0 ||  //
         count_entries("/proc/self/task") != 1 ||                        //
         count_entries("/proc/self/fd") != descriptors_ ||               //
         count_shared_mappings() != shared_memory_ || has_children() || child_signal_is_taken();
}

}  // namespace pipes
