// Does what no plugin may. Written against the C header alone, as whoever writes such a plugin would.
#include <pipe/plugin.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <string_view>

PIPE_METADATA("{\"pipe\":1,\"abi\":" PIPE_ABI_JSON
              ",\"step\":\"misbehave\",\"version\":\"0.1.0\","
              "\"help\":\"Do what no plugin may\",\"operations\":[\"run\"],\"params\":["
              "{\"name\":\"how\",\"type\":\"string\",\"required\":true,\"help\":\"What it does\"},"
              "{\"name\":\"amount\",\"type\":\"integer\",\"default\":0,\"help\":\"How much of it\"}],"
              "\"outputs\":[{\"name\":\"text\",\"type\":\"string\",\"help\":\"A text\"},"
              "{\"name\":\"texts\",\"type\":\"list\",\"item\":\"string\",\"help\":\"Some\"}]}");

namespace {

pipe_str text(std::string_view s) {
  return {s.data(), s.size()};
}

pipe_value string_value(std::string_view s) {
  pipe_value value{};
  value.kind = PIPE_STRING;
  value.as.s = text(s);
  return value;
}

// The bound is out of reach: it only keeps the compiler from seeing that this never ends.
int recurse(long depth) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth);
  return depth == 1L << 60 ? 0 : recurse(depth + 1) + frame[0];
}

// Far away, so that the compiler lets it through a noexcept function.
__attribute__((noinline)) void throw_something() {
  throw std::runtime_error("thrown through noexcept");
}

// It is meant: no sanitizer is to be faster.
__attribute__((no_sanitize("undefined"))) void raise_fault() {
  volatile int *nowhere = nullptr;
  *nowhere = 1;
}

void flood(long megabytes) {
  const std::string line = std::string(127, 'x') + "\n";
  std::string block;
  while (block.size() < (1U << 20)) block += line;
  for (long i = 0; i < megabytes; ++i) {
    for (size_t sent = 0; sent < block.size();) {
      const ssize_t n = write(STDOUT_FILENO, block.data() + sent, block.size() - sent);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }
}

/// The descriptors of the runner's that a plugin can find by trying.
void for_each_socket(void (*act)(int)) {
  for (int fd = 3; fd < 1024; ++fd) {
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0) act(fd);
  }
}

pipe_status run(const pipe_host_v1 *host, pipe_run *handle) noexcept {
  pipe_value how{}, amount{};
  host->param(handle, text("how"), &how);
  host->param(handle, text("amount"), &amount);
  const std::string what(how.as.s.data, how.as.s.size);
  host->log(handle, 2, text("about to misbehave"), nullptr, 0);
  puts("last words");
  fflush(stdout);

  if (what == "segfault") raise_fault();
  if (what == "abort") abort();
  if (what == "exit") exit(0);
  if (what == "exit-code") _exit(7);
  if (what == "overflow") return recurse(0) == 1 ? PIPE_OK : PIPE_E_INTERNAL;
  if (what == "throw") throw_something();
  if (what == "kill") raise(SIGKILL);
  if (what == "ignore-term") signal(SIGTERM, SIG_IGN);
  if (what == "hang" || what == "ignore-term") {
    for (;;) pause();
  }
  if (what == "spin") {
    volatile bool on = true;
    while (on) {
    }
  }
  if (what == "flood") flood(amount.as.i);
  if (what == "long-line") {
    const std::string line(static_cast<size_t>(amount.as.i), 'y');
    for (size_t sent = 0; sent < line.size();) {
      const ssize_t n = write(STDOUT_FILENO, line.data() + sent, line.size() - sent);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
  }
  if (what == "log-flood") {
    for (long i = 0; i < amount.as.i; ++i) host->log(handle, 2, text(std::string(100, 'z')), nullptr, 0);
  }
  if (what == "grandchild") {
    if (fork() == 0) {
      // It holds stdout, and the runner's socket, and goes on for much longer than the step.
      sleep(600);
      _exit(0);
    }
  }
  if (what == "grandchild-then-crash") {
    if (fork() == 0) {
      sleep(600);
      _exit(0);
    }
    abort();
  }
  if (what == "close-all") {
    for (int fd = 0; fd < 1024; ++fd) close(fd);
  }
  if (what == "close-and-reopen") {
    for (int fd = 0; fd < 1024; ++fd) close(fd);
    open("/dev/null", O_RDWR | O_CLOEXEC);
  }
  if (what == "garbage") {
    for_each_socket([](int fd) { send(fd, "\0\377garbage\377", 10, MSG_NOSIGNAL); });
  }
  if (what == "endless-message") {
    for_each_socket([](int fd) {
      const std::string piece(30'000, '\1');
      for (int i = 0; i < 10'000; ++i) {
        if (send(fd, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
      }
    });
  }
  if (what == "huge-packet") {
    for_each_socket([](int fd) {
      const std::string packet(150'000, '\0');
      send(fd, packet.data(), packet.size(), MSG_NOSIGNAL);
    });
  }
  if (what == "undeclared-output") {
    const pipe_value value = string_value("x");
    host->output(handle, text("nobody-said-so"), &value);
  }
  if (what == "wrong-output-type") {
    pipe_value value{};
    value.kind = PIPE_INT;
    host->output(handle, text("text"), &value);
  }
  if (what == "wrong-item-type") {
    const pipe_value items[] = {string_value("a"), amount};
    pipe_value list{};
    list.kind = PIPE_LIST;
    list.as.list = {items, 2};
    host->output(handle, text("texts"), &list);
  }
  if (what == "malformed-value") {
    pipe_value value{};
    value.kind = 4711;
    if (host->output(handle, text("text"), &value) == PIPE_OK) return PIPE_OK;
    return PIPE_E_INTERNAL;
  }
  if (what == "silent-failure") return PIPE_E_DENIED;
  if (what == "no-such-status") return 4711;
  if (what == "big-output") {
    const std::string big(static_cast<size_t>(amount.as.i), 'b');
    const pipe_value value = string_value(big);
    return host->output(handle, text("text"), &value);
  }
  if (what == "many-descriptors") {
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
    }
  }
  if (what == "escape-codes") {
    host->log(handle, 3, text("\033]0;title\007\033[2Jred\033[31m alert\r"), nullptr, 0);
  }
  if (what == "environment") {
    std::string all;
    for (char **at = environ; *at != nullptr; ++at) all += std::string(*at) + "\n";
    const pipe_value value = string_value(all);
    return host->output(handle, text("text"), &value);
  }
  if (what == "raw-memory") {
    // What the kernel shows to anyone of the same user.
    char bytes[1 << 16];
    const int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
    const ssize_t n = read(fd, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; ++i) {
      if (bytes[i] == '\0') bytes[i] = '\n';
    }
    const pipe_value value = string_value({bytes, n > 0 ? static_cast<size_t>(n) : 0});
    return host->output(handle, text("text"), &value);
  }
  return PIPE_OK;
}

const pipe_step_v1 step = {sizeof step, 0, "misbehave", nullptr, run, nullptr};
const pipe_step_v1 *const steps[] = {&step, nullptr};

}  // namespace

PIPE_EXPORT extern const pipe_plugin_v1 pipe_plugin_entry_v1 = {sizeof(pipe_plugin_v1), PIPE_ABI_MAJOR,
                                                                PIPE_ABI_MINOR, steps, nullptr};
