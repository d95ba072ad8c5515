#include "command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace shell {
namespace {

using pipes::sdk::Error;
using Clock = std::chrono::steady_clock;

constexpr auto kGrace = std::chrono::seconds(2);  // between SIGTERM and SIGKILL

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd &operator=(Fd &&other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string &what) {
  throw Error(PIPE_E_IO, "cannot " + what + ": " + std::strerror(errno));
}

Fd open_existing(const std::string &path, int flags) {
  Fd fd(open(path.c_str(), flags | O_CLOEXEC));
  if (fd.get() < 0)
    throw Error(errno == ENOENT ? PIPE_E_NOT_FOUND : PIPE_E_IO,
                "cannot enter " + path + ": " + std::strerror(errno));
  return fd;
}

struct Pipe {
  Fd read, write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("make a pipe for the command's output");
  return {Fd(ends[0]), Fd(ends[1])};
}

enum class Got { data, nothing, end };

/// Reads once: a command that never stops printing must not keep us from hearing of a cancellation.
Got read_some(const Fd &fd, Stream stream, const OnText &on_text) {
  std::array<char, 16384> buffer;
  const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR ? Got::nothing : Got::end;
  if (n == 0) return Got::end;
  on_text(stream, {buffer.data(), static_cast<std::size_t>(n)});
  return Got::data;
}

/// What a command has left in the pipe at its end: no more than one holds, as others may go on writing.
void read_rest(const Fd &fd, Stream stream, const OnText &on_text) {
  const int capacity = fcntl(fd.get(), F_GETPIPE_SZ);
  for (int read = 0; read <= capacity && read_some(fd, stream, on_text) == Got::data; read += 4096) {
  }
}

std::vector<std::string> environment(const std::map<std::string, std::string> &extra) {
  std::vector<std::string> result;
  for (char **entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!extra.contains(std::string(text.substr(0, text.find('='))))) result.emplace_back(text);
  }
  for (const auto &[name, value] : extra) result.push_back(name + "=" + value);
  return result;
}

/// Everything the children need, made before the fork: between it and exec only system calls are safe.
struct Start {
  const char *script;
  std::vector<char *> env;
  int dir, null, out, err;
  pid_t parent;
};

[[noreturn]] void exec_shell(const Start &start) {
  std::signal(SIGTERM, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // Behind `--` a command may begin with a dash.
  char name[] = "sh", option[] = "-c", no_more_options[] = "--";
  char *const argv[] = {name, option, no_more_options, const_cast<char *>(start.script), nullptr};
  execve("/bin/sh", argv, start.env.data());
  _exit(127);
}

/// Leads the command's process group, so that all of it can be ended when the step's process dies, however
/// that happens. It holds no descriptor but the command's three.
[[noreturn]] void lead_group(const Start &start) {
  const int orphaned = SIGRTMAX;
  setpgid(0, 0);
  std::signal(orphaned, [](int) { kill(0, SIGKILL); });
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, orphaned);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  prctl(PR_SET_PDEATHSIG, orphaned);
  if (getppid() != start.parent) _exit(127);
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGPIPE, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGCHLD, SIG_DFL);
  if (start.dir >= 0 && fchdir(start.dir) != 0) _exit(127);
  dup2(start.null, STDIN_FILENO);
  dup2(start.out, STDOUT_FILENO);
  dup2(start.err, STDERR_FILENO);
  syscall(SYS_close_range, 3U, ~0U, 0U);
  const pid_t command = fork();
  if (command == 0) exec_shell(start);
  int status = 0;
  while (command > 0 && waitpid(command, &status, 0) < 0 && errno == EINTR) {
  }
  if (command < 0) _exit(127);
  _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/// The command's group while it runs. Destroyed before the end, it takes the group with it.
class Group {
 public:
  explicit Group(const Start &start) : pid_(fork()) {
    if (pid_ < 0) fail("start a process for the command");
    if (pid_ == 0) lead_group(start);
    setpgid(pid_, pid_);  // by both, so that neither can be too late
    ended_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    if (ended_.get() < 0) {
      stop();
      fail("watch the command");
    }
  }
  Group(const Group &) = delete;
  Group &operator=(const Group &) = delete;
  ~Group() { stop(); }

  int ended_fd() const { return ended_.get(); }
  void signal(int number) const { kill(-pid_, number); }
  int exit_code() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  void stop() {
    if (pid_ < 0) return;
    signal(SIGKILL);
    exit_code();
  }

  pid_t pid_;
  Fd ended_;
};

int milliseconds_until(Clock::time_point when) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

}  // namespace

int run_command(const Command &command, pipes::sdk::Observer &observer, const OnText &on_text) {
  observer.check_cancelled();
  Pipe out = make_pipe(), err = make_pipe();
  fcntl(out.read.get(), F_SETFL, O_NONBLOCK);
  fcntl(err.read.get(), F_SETFL, O_NONBLOCK);
  const Fd null = open_existing("/dev/null", O_RDONLY);
  const Fd dir = command.dir.empty() ? Fd() : open_existing(command.dir, O_PATH | O_DIRECTORY);
  auto env = environment(command.env);
  Start start{command.script.c_str(), {}, dir.get(), null.get(), out.write.get(), err.write.get(), getpid()};
  for (std::string &entry : env) start.env.push_back(entry.data());
  start.env.push_back(nullptr);

  Group group(start);
  out.write.reset();
  err.write.reset();

  std::array<pollfd, 4> fds{{{group.ended_fd(), POLLIN, 0},
                             {observer.cancel_fd(), POLLIN, 0},
                             {out.read.get(), POLLIN, 0},
                             {err.read.get(), POLLIN, 0}}};
  Clock::time_point kill_at{};
  bool cancelled = false;
  while (fds[0].revents == 0) {
    if (poll(fds.data(), fds.size(), cancelled ? milliseconds_until(kill_at) : -1) < 0 && errno != EINTR)
      fail("wait for the command");
    if (fds[2].revents != 0 && read_some(out.read, Stream::out, on_text) == Got::end) fds[2].fd = -1;
    if (fds[3].revents != 0 && read_some(err.read, Stream::err, on_text) == Got::end) fds[3].fd = -1;
    if (cancelled && Clock::now() >= kill_at) break;
    if (!cancelled && observer.cancelled()) {
      cancelled = true;
      kill_at = Clock::now() + kGrace;
      fds[1].fd = -1;
      group.signal(SIGTERM);
    }
  }
  read_rest(out.read, Stream::out, on_text);
  read_rest(err.read, Stream::err, on_text);
  if (cancelled) throw Error(PIPE_E_CANCELLED, "the command was stopped");
  return group.exit_code();
}

}  // namespace shell
