#include "podman_service.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "places.hpp"
#include "podman_config.hpp"
#include "unique_fd.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr auto kStartLimit = 30s;
constexpr std::string_view kIdleSeconds = "10";  // longer than a step ever goes without asking it something
constexpr auto kStopLimit = 3s;
constexpr const char *kFolderPrefix = "pipe-podman-";

/// Where Podman's defaults do not do, writes a containers.conf and returns its path. It stays: conmon calls
/// podman with it again when a container ends and is to be restarted.
fs::path config_file(sdk::Observer &observer) {
  if (podman_is_configured()) return {};
  const PodmanConfig config = needed_config(machine_facts());
  if (config.text.empty()) return {};
  const fs::path file = state_folder() / "containers.conf";
  std::string reasons, comment = "# Written by pipe for the Podman that it starts on demand, which gets:\n";
  for (const std::string &reason : config.reasons) {
    reasons += (reasons.empty() ? "" : "; ") + reason;
    comment += "# - " + reason + "\n";
  }
  const std::string text = comment + config.text;
  if (read_text(file) == text) return file;  // which was said when it was written
  if (!write_atomically(file, text, 0644))
    throw sdk::Error(PIPE_E_IO, fmt::format("can't write {}: {}", file.string(), std::strerror(errno)),
                     "set XDG_STATE_HOME to a folder that can be written to");
  observer.log(sdk::Level::warning,
               fmt::format("podman's defaults can't start a container here, so it is given {} ({})", reasons,
                           file.string()));
  return file;
}

/// Removes what a killed run left: folders are named after the process that made them.
void remove_stale(const fs::path &parent) {
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kFolderPrefix)) continue;
    const pid_t owner =
        static_cast<pid_t>(std::strtol(name.c_str() + std::strlen(kFolderPrefix), nullptr, 10));
    if (owner > 0 && ::kill(owner, 0) < 0 && errno == ESRCH) fs::remove_all(entry.path(), error);
  }
}

fs::path make_folder() {
  // A socket's path has 107 bytes at most, so a deep $XDG_RUNTIME_DIR is not used.
  fs::path parent = runtime_folder().value_or("/tmp");
  if (parent.native().size() > 60) parent = "/tmp";
  remove_stale(parent);
  std::string path = (parent / fmt::format("{}{}-XXXXXX", kFolderPrefix, ::getpid())).string();
  if (!::mkdtemp(path.data()))
    throw sdk::Error(PIPE_E_IO,
                     fmt::format("can't make a folder in {} for podman's socket: {}", parent.string(),
                                 std::strerror(errno)),
                     "set XDG_RUNTIME_DIR to a folder that can be written to");
  return path;
}

/// This process's environment, with `config` as $CONTAINERS_CONF, with the folders of iptables and its like
/// in $PATH, and without what belongs to our own service manager.
std::vector<std::string> child_environment(const fs::path &config) {
  std::vector<std::string> list;
  for (char **entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    if (text.starts_with("LISTEN_FDS=") || text.starts_with("LISTEN_PID=") ||
        text.starts_with("NOTIFY_SOCKET="))
      continue;
    if (text.starts_with("PATH=") || (!config.empty() && text.starts_with("CONTAINERS_CONF="))) continue;
    list.emplace_back(text);
  }
  list.push_back("PATH=" + program_folders());
  if (!config.empty()) list.push_back("CONTAINERS_CONF=" + config.string());
  return list;
}

std::vector<char *> pointers(std::vector<std::string> &texts) {
  std::vector<char *> list;
  for (std::string &text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

pid_t spawn(const fs::path &program, std::vector<std::string> arguments, std::vector<std::string> environment,
            const fs::path &log_file) {
  const std::vector<char *> argv = pointers(arguments), envp = pointers(environment);
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  UniqueFd log(::open(log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const pid_t pid = ::fork();
  if (pid != 0) {
    if (pid < 0)
      throw sdk::Error(PIPE_E_IO, fmt::format("can't start {}: {}", program.string(), std::strerror(errno)));
    ::setpgid(pid, pid);
    return pid;
  }
  // Between fork and exec: only system calls. A group of its own keeps the terminal's Ctrl-C from it. No
  // signal when this process is killed: cut short, podman leaves half a network behind, and the next
  // container with that port can't be reached. It ends what it is at, and then for want of requests
  // (kIdleSeconds).
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal : {SIGPIPE, SIGINT, SIGTERM}) ::signal(signal, SIG_DFL);
  ::dup2(null.get(), 0);
  ::dup2(null.get(), 1);
  ::dup2(log.get(), 2);
  ::execve(program.c_str(), argv.data(), envp.data());
  ::_exit(127);
}

bool connects(const fs::path &socket_path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_path.c_str(), sizeof address.sun_path - 1);
  return fd && ::connect(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  text.erase(0, text.rfind('\n') + 1);
  return text.empty() ? "it said nothing" : text;
}

}  // namespace

PodmanService PodmanService::start(sdk::Observer &observer) {
  const fs::path program = find_program("podman");
  if (program.empty())
    throw sdk::Error(PIPE_E_NOT_FOUND, "there is no podman on this machine",
                     "install Podman (apt-get install podman), or name another engine");
  const fs::path config = config_file(observer);
  PodmanService service(make_folder(), -1);
  const fs::path socket = service.socket(), log = service.folder_ / "log";
  service.pid_ = spawn(
      program,
      {"podman", "system", "service", "--time=" + std::string(kIdleSeconds), "unix://" + socket.string()},
      child_environment(config), log);
  const auto limit = std::chrono::steady_clock::now() + kStartLimit;
  while (!connects(socket)) {
    observer.check_cancelled();
    if (service.ended())
      throw sdk::Error(PIPE_E_IO, fmt::format("podman could not be started: {}", last_line(read_text(log))),
                       "try `podman info`");
    if (std::chrono::steady_clock::now() > limit)
      throw sdk::Error(PIPE_E_TIMEOUT, "podman did not open its socket within 30 seconds",
                       "try `podman info`");
    std::this_thread::sleep_for(1ms);
  }
  return service;
}

PodmanService::PodmanService(PodmanService &&other) noexcept
    : folder_(std::exchange(other.folder_, {})), pid_(std::exchange(other.pid_, -1)) {}

PodmanService::~PodmanService() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGTERM);
    const auto limit = std::chrono::steady_clock::now() + kStopLimit;
    while (!ended()) {
      if (std::chrono::steady_clock::now() > limit) ::kill(-pid_, SIGKILL);
      std::this_thread::sleep_for(1ms);
    }
  }
  std::error_code error;
  if (!folder_.empty()) fs::remove_all(folder_, error);
}

bool PodmanService::ended() {
  if (pid_ > 0) {
    const pid_t waited = ::waitpid(pid_, nullptr, WNOHANG);
    if (waited == pid_ || (waited < 0 && errno == ECHILD)) pid_ = -1;
  }
  return pid_ < 0;
}

}  // namespace pipes::engine
