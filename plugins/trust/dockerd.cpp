#include "dockerd.hpp"

#include <pipe/engine/engine.hpp>
#include <pipe/oci/settings_file.hpp>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include <fmt/core.h>

namespace trust {
namespace {

using namespace std::chrono_literals;
constexpr auto kPatience = 10s;
constexpr auto kPause = 100ms;

/// A file of /proc, which has no size.
std::string read_proc(pid_t pid, const char *name) {
  std::ifstream file(fmt::format("/proc/{}/{}", pid, name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool in_force(const pipes::engine::RegistrySettings &settings, const Setting &setting) {
  const auto &list = setting.key == "registry-mirrors" ? settings.mirrors : settings.insecure;
  return std::ranges::any_of(list, [&](std::string entry) {
    while (entry.ends_with('/')) entry.pop_back();
    return entry == setting.entry;
  });
}

}  // namespace

std::optional<std::string> Dockerd::option(std::string_view name) const {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (!argument.starts_with(name)) continue;
    argument.remove_prefix(name.size());
    if (argument.empty()) return i + 1 < arguments.size() ? arguments[i + 1] : std::string();
    if (argument.front() == '=') return std::string(argument.substr(1));
  }
  return std::nullopt;
}

std::optional<Dockerd> running_dockerd(const Places &places) {
  for (const char *name : {"run/docker.pid", "var/run/docker.pid"}) {
    const std::optional<std::string> text = pipes::oci::read_settings(places.root / name);
    if (!text) continue;
    Dockerd found;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), found.pid);
    // A file that was left behind may name another process by now.
    if (error != std::errc() || found.pid <= 1 || read_proc(found.pid, "comm") != "dockerd\n") continue;
    const std::string line = read_proc(found.pid, "cmdline");
    for (std::size_t begin = 0; begin < line.size();) {
      const std::size_t next = std::min(line.find('\0', begin), line.size());
      found.arguments.push_back(line.substr(begin, next - begin));
      begin = next + 1;
    }
    return found;
  }
  return std::nullopt;
}

std::string validation_problem(const std::string &daemon_json) {
  std::string file = (fs::temp_directory_path() / "pipe-daemon-XXXXXX").string();
  const int fd = mkostemp(file.data(), O_CLOEXEC);
  if (fd < 0) return {};
  close(fd);
  pipes::oci::write_settings(file, daemon_json);
  const std::string output = file + ".out";
  std::array<char *, 5> argv{};
  std::array<std::string, 4> words{"dockerd", "--validate", "--config-file", file};
  std::ranges::transform(words, argv.begin(), [](std::string &word) { return word.data(); });
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  pid_t pid = 0;
  int status = 0;
  const int failed = posix_spawnp(&pid, "dockerd", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed == 0)
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  std::string said = pipes::oci::read_settings(output).value_or(std::string());
  unlink(output.c_str());
  unlink(file.c_str());
  const bool unknown = said.find("unknown flag") != std::string::npos;
  if (failed != 0 || status == 0 || unknown || !WIFEXITED(status)) return {};
  while (said.ends_with('\n')) said.pop_back();
  return said.empty() ? "dockerd --validate refuses it" : said;
}

void reload(const Dockerd &dockerd) {
  if (kill(dockerd.pid, SIGHUP) == 0 || errno == ESRCH) return;
  throw sdk::Error(PIPE_E_IO,
                   fmt::format("can't tell dockerd (pid {}) to read its settings again: {}", dockerd.pid,
                               std::generic_category().message(errno)),
                   "run this as root (sudo)");
}

void reload(const Dockerd &dockerd, const std::string &engine, const std::vector<Setting> &settings,
            Expect wanted, sdk::Observer &observer) {
  reload(dockerd);
  pipes::engine::Engine there = pipes::engine::Engine::connect(engine, observer);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    observer.check_cancelled();
    const pipes::engine::RegistrySettings now = there.registry_settings();
    const auto other = std::ranges::find_if(settings, [&](const Setting &setting) {
      return in_force(now, setting) != (wanted == Expect::present);
    });
    if (other == settings.end()) return;
    if (std::chrono::steady_clock::now() > end)
      throw sdk::Error(
          PIPE_E_MISMATCH,
          fmt::format("dockerd (pid {}) was told to read daemon.json again, and {} {} in {} {} s later",
                      dockerd.pid, wanted == Expect::present ? "does not have" : "still has", other->entry,
                      other->key, kPatience / 1s),
          "its log says why (journalctl -u docker)");
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace trust
