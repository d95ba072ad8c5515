// `pipe doctor`: what on this machine would keep steps from their work, and the command that mends it.
#include "core/base/quantity.hpp"
#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pipe/engine/engine.hpp>
#include <pipe/engine/host.hpp>
#include <pipe/http/client.hpp>
#include <pipe/oci/credential_source.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace pipes::image {
namespace {

namespace fs = std::filesystem;

enum class State { fine, warning, fault };

struct Finding {
  State state = State::fine;
  std::string subject;  // "engine", "store", a registry …
  std::string seen;
  std::string remedy;  // what to do, a command where there is one
};
using Findings = std::vector<Finding>;

std::string env(const char *name) {
  const char *value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The nearest folder that is there.
fs::path existing(fs::path path) {
  std::error_code error;
  while (!path.empty() && !fs::exists(path, error) && path != path.parent_path()) path = path.parent_path();
  return path;
}

/// Whether this user could write there, and whether there is room.
Finding look_at_folder(const std::string &subject, const fs::path &path) {
  constexpr std::uintmax_t kLittle = 1u << 30;
  const fs::path there = existing(path);
  if (::access(there.c_str(), W_OK | X_OK) != 0) {
    return {State::fault, subject,
            fmt::format("{} cannot be written: {}", there.string(), std::strerror(errno)),
            fmt::format("sudo chown -R {}:{} {}", ::getuid(), ::getgid(), there.string())};
  }
  std::error_code error;
  const fs::space_info space = fs::space(there, error);
  if (error)
    return {State::fault, subject, fmt::format("{}: {}", there.string(), error.message()), "check the mount"};
  const std::string seen =
      fmt::format("{}, {} free", path.string(), bytes_text(static_cast<std::uint64_t>(space.available)));
  if (space.available < kLittle) return {State::warning, subject, seen, "pipe image gc, or a larger disk"};
  return {State::fine, subject, seen, ""};
}

/// Whether a program is where a shell, or root's shell, would find it.
bool has_program(std::string_view name) {
  std::stringstream folders(env("PATH") + ":/usr/bin:/usr/sbin:/bin:/sbin");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (!folder.empty() && ::access((fs::path(folder) / name).c_str(), X_OK) == 0) return true;
  return false;
}

/// What a rootless engine needs: a range of IDs for the users inside containers (subuid(5)) and the program
/// that hands them out, the device of its network, and a log-in that does not end.
Findings look_at_rootless() {
  Findings findings;
  const passwd *entry = ::getpwuid(::getuid());
  const std::string id = std::to_string(::getuid()), user = entry != nullptr ? entry->pw_name : id;
  const auto fault = [&](const std::string &seen, const std::string &remedy) {
    findings.push_back({State::fault, "rootless", seen, remedy});
  };
  for (const char *file : {"/etc/subuid", "/etc/subgid"}) {
    std::ifstream lines(file);
    bool found = false;
    for (std::string line; std::getline(lines, line);)
      found = found || line.starts_with(user + ":") || line.starts_with(id + ":");
    if (found) continue;
    fault(fmt::format("{} has no range of IDs for {}", file, user),
          fmt::format("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {}", user));
    break;  // the remedy mends both
  }
  if (!has_program("newuidmap")) fault("there is no newuidmap", "sudo apt install uidmap");
  if (::access("/dev/net/tun", R_OK | W_OK) != 0)
    fault(fmt::format("/dev/net/tun cannot be opened: {}", std::strerror(errno)),
          errno == ENOENT ? "sudo modprobe tun" : "sudo chmod 666 /dev/net/tun");
  if (findings.empty()) findings.push_back({State::fine, "rootless", "it has what it needs", ""});
  std::error_code error;
  if (fs::exists("/run/systemd/system", error) && !fs::exists("/var/lib/systemd/linger/" + user, error))
    findings.push_back({State::warning, "rootless", fmt::format("containers end when {} logs out", user),
                        "sudo loginctl enable-linger " + user});
  return findings;
}

Findings look_at_engine(const std::string &which) {
  Findings findings;
  Watch watch;
  try {
    const engine::Engine found = engine::Engine::connect(which, watch);
    const engine::Version &version = found.version();
    findings.push_back({State::fine, "engine",
                        fmt::format("{} {}{} (API {}) at {}", version.name, version.version,
                                    version.rootless ? ", rootless" : "", version.api, version.endpoint),
                        ""});
    if (version.rootless && found.on_this_machine())
      std::ranges::move(look_at_rootless(), std::back_inserter(findings));
  } catch (const sdk::Error &error) {
    // Only steps that run containers need one; but one that is named has to be there.
    const bool named = !which.empty() || !env("DOCKER_HOST").empty() || !env("DOCKER_CONTEXT").empty();
    const bool absent = error.status == PIPE_E_NOT_FOUND && !named;
    findings.push_back({absent ? State::warning : State::fault, "engine", error.message,
                        error.hint.empty() ? "sudo apt install podman, or start the engine" : error.hint});
    // A podman that can't be started most often lacks one of these.
    if (!absent && ::geteuid() != 0) std::ranges::move(look_at_rootless(), std::back_inserter(findings));
  }
  return findings;
}

Finding look_at_port(int port) {
  const engine::PortCheck check = engine::check_port({"5000/tcp", "127.0.0.1", std::to_string(port)});
  const std::string subject = fmt::format("port {}", port);
  if (check.free) return {State::fine, subject, "free", ""};
  return {State::warning, subject, check.reason,
          "a registry there needs another one, unless this is yours: --set port=5001 --set "
          "address=localhost:5001"};
}

/// Files that hold logins belong to their owner alone.
void look_at_login_files(Findings &findings) {
  const std::string home = env("HOME"), runtime = env("XDG_RUNTIME_DIR"), docker = env("DOCKER_CONFIG");
  const std::string podman =
      runtime.empty() ? fmt::format("/run/containers/{}", ::getuid()) : runtime + "/containers";
  const std::array files{env("REGISTRY_AUTH_FILE"), podman + "/auth.json",
                         home + "/.config/containers/auth.json",
                         (docker.empty() ? home + "/.docker" : docker) + "/config.json"};
  for (const std::string &file : files) {
    struct stat about {};
    if (file.empty() || ::stat(file.c_str(), &about) != 0) continue;
    if ((about.st_mode & 077) != 0)
      findings.push_back({State::warning, "logins", file + " can be read by others", "chmod 600 " + file});
  }
}

void look_at_login(Findings &findings, const std::string &registry) {
  Watch watch;
  const oci::CredentialSource found = oci::find_credential_source(registry, "", watch);
  if (!found.problem.empty()) {
    findings.push_back(
        {State::fault, registry, "login: " + found.problem, fmt::format("pipe debug auth {}/x", registry)});
  } else if (!found.source.empty()) {
    findings.push_back({State::fine, registry,
                        found.username.empty()
                            ? "login from " + found.source
                            : fmt::format("login as {} from {}", found.username, found.source),
                        ""});
  } else {
    findings.push_back({State::fine, registry, "no login for it is here", ""});
  }
}

/// Tokens and certificates are of no use where the clocks differ.
void look_at_clock(Findings &findings, const std::string &registry, std::string_view date) {
  constexpr std::int64_t kMuch = 60;
  const std::optional<std::int64_t> theirs = http::parse_date(date);
  if (!theirs) return;
  const std::int64_t ahead = static_cast<std::int64_t>(std::time(nullptr)) - *theirs;
  if (std::abs(ahead) <= kMuch) return;
  findings.push_back({State::warning, "clock",
                      fmt::format("this machine is {} {} {}", format_duration(std::abs(ahead) * 1000),
                                  ahead > 0 ? "ahead of" : "behind", registry),
                      "sudo timedatectl set-ntp true"});
}

void look_at_registry(Findings &findings, const std::string &host, const oci::RegistryOptions &options) {
  Watch watch;
  try {
    oci::Registry registry(host, options, watch);
    const oci::Registry::Ping ping = registry.ping();
    const std::string origin = registry.origin();
    if (ping.status != 200 && ping.status != 401) {
      findings.push_back({State::fault, host, fmt::format("{} answers HTTP {} to /v2/", origin, ping.status),
                          "is it a registry, and the address right?"});
      return;
    }
    findings.push_back({State::fine, host,
                        origin + (ping.status == 401 ? " answers, and asks for a login" : " answers"), ""});
    if (ping.status == 401) look_at_login(findings, host);
    http::ClientOptions client;
    client.ca_file = options.ca_file;
    client.verify = !options.insecure;
    http::Request request;
    request.url = origin + "/v2/";
    look_at_clock(findings, host, http::Client(client, watch).send(request).headers.get("date"));
  } catch (const sdk::Error &error) {
    findings.push_back({State::fault, host, error.message, error.hint});
    look_at_login(findings, host);  // what is wrong with it will be once the registry answers
  }
}

std::string_view word(State state) {
  switch (state) {
    case State::fine:
      return "ok";
    case State::warning:
      return "warning";
    case State::fault:
      break;
  }
  return "FAULT";
}

Tone tone(State state) {
  return state == State::fine ? Tone::good : state == State::warning ? Tone::changed : Tone::bad;
}

std::string text_of(const Findings &findings, Color color) {
  constexpr std::size_t kStates = 7;
  std::size_t widest = 0;
  for (const Finding &finding : findings) widest = std::max(widest, width(finding.subject));
  std::string out;
  for (const Finding &finding : findings) {
    out +=
        fmt::format("{}  {}  {}\n", paint(padded(word(finding.state), kStates), tone(finding.state), color),
                    padded(finding.subject, widest), printable(finding.seen));
    if (finding.state != State::fine && !finding.remedy.empty())
      out += fmt::format("{}→ {}\n", std::string(kStates + widest + 4, ' '), printable(finding.remedy));
  }
  return out;
}

Value::Map json_of(const Findings &findings, bool well) {
  Value::List all;
  for (const Finding &finding : findings) {
    Value::Map one{{"state", finding.state == State::fault ? "fault" : word(finding.state)},
                   {"subject", finding.subject},
                   {"seen", finding.seen}};
    if (finding.state != State::fine) one.emplace_back("remedy", finding.remedy);
    all.emplace_back(std::move(one));
  }
  return {{"well", well}, {"findings", std::move(all)}};
}

std::vector<Option> options() {
  std::vector<Option> all{{"engine", "ENGINE", "The engine to look at: docker, podman or its address"},
                          output_option()};
  for (Option &option : registry_options()) all.push_back(std::move(option));
  return all;
}

int run(const Words &words) {
  const auto args = cli::arguments(kDoctor, words);
  if (!args) return 0;
  constexpr int kRegistryPort = 5000;
  const bool json = wants_json(*args);
  std::vector<std::string> registries;
  for (const std::string &name : args->words()) {
    // Either a registry or the name of an image in it.
    registries.push_back(usage([&] {
                           return oci::Reference::parse(name +
                                                        (name.find('/') == std::string::npos ? "/x" : ""));
                         }).registry);
  }
  if (registries.empty()) registries.emplace_back("docker.io");

  Findings findings = look_at_engine(args->value("engine").value_or(""));
  findings.push_back(look_at_folder("store", oci::Store::default_path()));
  const std::string state = env("XDG_STATE_HOME");
  findings.push_back(
      look_at_folder("runs", fs::path(state.empty() ? env("HOME") + "/.local/state" : state) / "pipe"));
  findings.push_back(look_at_port(kRegistryPort));
  look_at_login_files(findings);
  for (const std::string &registry : registries)
    look_at_registry(findings, registry, registry_options(*args));

  const bool well = std::ranges::none_of(findings, [](const Finding &f) { return f.state == State::fault; });
  if (json) {
    print_json(json_of(findings, well));
  } else {
    cli::print(text_of(findings, cli::colored(STDOUT_FILENO) ? Color::on : Color::off));
  }
  return static_cast<int>(well ? Exit::done : Exit::step_failed);
}

}  // namespace

const Verb kDoctor{
    "doctor",
    "[REGISTRY…]",
    "Say what is wrong with this machine, and what mends it",
    "Looks at the container engine, the folders of pipe and their room, the registry's port, the files that\n"
    "hold logins, the registries named (docker.io if none is) and the clock. Nothing is changed (but a\n"
    "podman that can't start containers as it is gets settings in pipe's own folder, as any step would give\n"
    "it), and no password is sent. The exit code is 1 if there is a fault; warnings are none.\n\n"
    "  pipe doctor\n"
    "  pipe doctor registry.lan:5000 --ca-file ca.crt",
    options,
    run};

}  // namespace pipes::image
