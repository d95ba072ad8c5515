#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/pipeline/variables.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace pipes {
namespace {

constexpr std::size_t kMaxSecret = 1U << 20;

/// How long a command may take; $PIPE_SECRET_SECONDS, else a minute.
std::chrono::seconds time_limit() {
  constexpr std::chrono::seconds kLimit{60};
  const char *text = std::getenv("PIPE_SECRET_SECONDS");
  const int given = text == nullptr ? 0 : std::atoi(text);
  return given > 0 ? std::chrono::seconds(given) : kLimit;
}

/// When a command must have ended.
class Deadline {
 public:
  Deadline() : limit_(time_limit()), end_(std::chrono::steady_clock::now() + limit_) {}
  /// Throws once it is past.
  int milliseconds_left() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
    if (left.count() > 0) return static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    throw Error(
        Exit::invalid,
        fmt::format("it has not ended after {} s; PIPE_SECRET_SECONDS sets another limit", limit_.count()));
  }

 private:
  std::chrono::seconds limit_;
  std::chrono::steady_clock::time_point end_;
};

std::string read_all(int fd, const Deadline *deadline) {
  std::string text(4096, '\0');
  std::size_t size = 0;
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (deadline != nullptr && ::poll(&ready, 1, deadline->milliseconds_left()) <= 0) continue;
    const ssize_t got = ::read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Exit::invalid, std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > kMaxSecret) throw Error(Exit::invalid, fmt::format("it is larger than {} bytes", kMaxSecret));
    if (size == text.size()) text.resize(text.size() * 2);
  }
  text.resize(size);
  return text;
}

std::string without_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

void wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
}

/// What a program prints. Its own messages go to our stderr; they are not ours to judge.
std::optional<std::string> from_command(const std::vector<std::string> &command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(Exit::invalid, std::strerror(errno));
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  // We ignore SIGPIPE; a command that does, too, complains where its reader has seen enough.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &broken_pipe);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::vector<char *> arguments;
  for (const std::string &word : command) arguments.push_back(const_cast<char *>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  write_end.reset();
  if (error != 0) throw Error(Exit::invalid, std::strerror(error));
  std::string text;
  int status = 0;
  try {
    const Deadline deadline;
    text = read_all(read_end.get(), &deadline);
    // It may have closed its stdout and go on.
    for (pid_t ended = 0; ended == 0;) {
      ended = ::waitpid(child, &status, WNOHANG);
      if (ended < 0 && errno == EINTR) ended = 0;
      if (ended == 0) ::poll(nullptr, 0, std::min(deadline.milliseconds_left(), 5));
    }
  } catch (const Error &) {
    ::kill(child, SIGKILL);
    wait_for(child);
    throw;
  }
  if (WIFSIGNALED(status))
    throw Error(Exit::invalid, fmt::format("it was ended by signal {}", WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0)
    throw Error(Exit::invalid, fmt::format("it exited with status {}", WEXITSTATUS(status)));
  return without_newline(std::move(text));
}

std::string describe(const SecretSource &source) {
  switch (source.kind) {
    case SecretSource::Kind::env:
      return fmt::format("the environment variable {}", source.name);
    case SecretSource::Kind::file:
      return fmt::format("the file {}", source.name);
    case SecretSource::Kind::command:
      return fmt::format("the command `{}`", source.command.front());
  }
  return {};
}

/// How whoever runs the pipeline puts a secret there.
std::string remedy(const SecretSource &source) {
  switch (source.kind) {
    case SecretSource::Kind::env:
      return fmt::format("`export {}=…`", source.name);
    case SecretSource::Kind::file:
      return fmt::format("write it to {}", source.name);
    case SecretSource::Kind::command:
      return fmt::format("see why `{}` prints nothing", source.command.front());
  }
  return {};
}

std::optional<std::string> read_source(const SecretSource &source) {
  switch (source.kind) {
    case SecretSource::Kind::env: {
      const char *text = std::getenv(source.name.c_str());
      return text == nullptr || *text == '\0' ? std::nullopt : std::optional<std::string>(text);
    }
    case SecretSource::Kind::file:
      return read_secret_file(source.name);
    case SecretSource::Kind::command:
      return from_command(source.command);
  }
  return std::nullopt;
}

std::optional<std::string> resolve(const Pipeline &pipeline, const SecretDeclaration &secret,
                                   bool must_be_there, Diagnostics &diagnostics) {
  Diagnostic problem = diagnose(pipeline.source, secret.spot, "missing-secret", "");
  problem.warning = !must_be_there;
  std::string tried;
  for (const SecretSource &source : secret.from) {
    try {
      std::optional<std::string> value = read_source(source);
      // An empty secret protects nothing, and hiding it in a log would hide every character.
      if (value && !value->empty()) return value;
    } catch (const Error &e) {
      problem.message =
          fmt::format("secret `{}` cannot be read from {}: {}", secret.name, describe(source), e.message);
      diagnostics.push_back(std::move(problem));
      return std::nullopt;
    }
    tried += (tried.empty() ? "" : ", ") + describe(source);
  }
  if (secret.optional) return std::nullopt;
  problem.message = fmt::format("secret `{}` is nowhere to be found", secret.name);
  if (!secret.description.empty()) problem.notes.push_back(secret.description);
  problem.notes.push_back("looked in: " + tried);
  problem.help =
      remedy(secret.from.front()) + (must_be_there ? "; a pipeline that can do without says `optional = true`"
                                                   : ", or what only it opens stays as it is");
  diagnostics.push_back(std::move(problem));
  return std::nullopt;
}

}  // namespace

std::optional<std::string> read_secret_file(const std::string &path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!fd) throw Error(Exit::invalid, std::strerror(errno));
  return without_newline(read_all(fd.get(), nullptr));
}

std::vector<std::optional<std::string>> resolve_secrets(const Pipeline &pipeline,
                                                        const std::vector<bool> &wanted, bool must_be_there,
                                                        Diagnostics &diagnostics) {
  std::vector<std::optional<std::string>> values(pipeline.secrets.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (wanted[i]) values[i] = resolve(pipeline, pipeline.secrets[i], must_be_there, diagnostics);
  }
  return values;
}

}  // namespace pipes
