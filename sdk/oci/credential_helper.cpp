#include "credential_helper.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "file.hpp"
#include "json.hpp"

extern char **environ;

namespace pipes::oci {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr std::size_t kMaxAnswer = 1u << 20;
constexpr std::string_view kNotFound = "credentials not found in native keychain";

/// A file in memory: a helper that ends before it has read costs no SIGPIPE, and one that says much never
/// waits.
UniqueFd file_with(std::string_view text) {
  UniqueFd file(::memfd_create("helper", MFD_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(file.get(), 0, SEEK_SET) != 0)
    throw sdk::Error(PIPE_E_IO,
                     fmt::format("can't prepare for a credential helper: {}", std::strerror(errno)));
  return file;
}

/// A program under way; killed and reaped if it is still there at the end.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  Child(const Child &) = delete;
  Child &operator=(const Child &) = delete;
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

/// Empty: started. Otherwise why not.
std::string start(const std::string &program, int input, int output, int errors, pid_t &pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  std::string get = "get";
  std::string name = program;
  std::array<char *, 3> argv{name.data(), get.data(), nullptr};
  const int error = ::posix_spawnp(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? std::string() : std::strerror(error);
}

/// Reads to the end. False: too much, too long, or cancelled.
bool read_answer(int fd, std::string &answer, const sdk::Observer &observer) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  std::array<pollfd, 2> waiting{pollfd{fd, POLLIN, 0}, pollfd{observer.cancel_fd(), POLLIN, 0}};
  while (std::chrono::steady_clock::now() < end && answer.size() < kMaxAnswer) {
    observer.check_cancelled();
    if (::poll(waiting.data(), waiting.size(), 200) <= 0 || waiting[0].revents == 0) continue;
    std::array<char, 4096> piece{};
    const ssize_t size = ::read(fd, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return size == 0;
    answer.append(piece.data(), static_cast<std::size_t>(size));
  }
  return false;
}

std::string first_line(std::string_view text) {
  text = text.substr(0, std::min<std::size_t>(text.find('\n'), 200));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return std::string(text);
}

std::string first_line_of(int file) {
  std::array<char, 4096> begin{};
  const ssize_t size = ::pread(file, begin.data(), begin.size(), 0);
  return size <= 0 ? std::string() : first_line({begin.data(), static_cast<std::size_t>(size)});
}

Credentials read_credentials(std::string_view answer, const std::string &program) {
  Credentials result;
  const Json json = Json::parse(answer, nullptr, false);
  if (!json.is_object() || !json.contains("Username") || !json.contains("Secret") ||
      !json["Username"].is_string() || !json["Secret"].is_string()) {
    result.problem = program + " answered something else than credentials";
    return result;
  }
  const std::string username = json["Username"].get<std::string>();
  const std::string secret = json["Secret"].get<std::string>();
  if (username == "<token>") {
    result.identity_token = secret;
  } else {
    result.username = username;
    result.password = secret;
  }
  return result;
}

}  // namespace

Credentials ask_credential_helper(const std::string &name, const std::string &server,
                                  const sdk::Observer &observer) {
  Credentials result;
  const std::string program = "docker-credential-" + name;
  if (name.find('/') != std::string::npos) {
    result.problem = fmt::format("\"{}\" is no name of a credential helper", name);
    return result;
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw sdk::Error(PIPE_E_IO, fmt::format("can't make a pipe: {}", std::strerror(errno)));
  const UniqueFd output(ends[0]);
  UniqueFd child_output(ends[1]);
  const UniqueFd input = file_with(server), errors = file_with("");
  pid_t pid = -1;
  const std::string why = start(program, input.get(), child_output.get(), errors.get(), pid);
  if (!why.empty()) {
    result.problem = fmt::format("can't run {}: {}", program, why);
    return result;
  }
  Child child(pid);
  child_output = UniqueFd();

  std::string answer;
  if (!read_answer(output.get(), answer, observer)) {
    result.problem = program + " gave no answer in time";
    return result;
  }
  if (child.wait() == 0) return read_credentials(answer, program);
  if (answer.find(kNotFound) != std::string::npos) return result;
  // They are to say it on stdout; those that are scripts often don't.
  std::string said = first_line(answer);
  if (said.empty()) said = first_line_of(errors.get());
  result.problem = fmt::format("{} failed: {}", program, said.empty() ? "it does not say why" : said);
  return result;
}

}  // namespace pipes::oci
