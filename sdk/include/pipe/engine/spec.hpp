#pragma once
// What people write of a container, and how it differs from one that is there.
#include <pipe/engine/engine.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::engine {

/// `5000`, `8080:5000`, `127.0.0.1:8080:5000`, `[::1]:8080:5000/udp`, as `docker run -p` reads them. Throws
/// sdk::Error{PIPE_E_INVALID} that names the part that is wrong.
PortBinding parse_port(std::string_view text);
/// `NAME:/target[:ro]` (a named volume) or `/host/path:/target[:ro]`. Throws PIPE_E_INVALID.
Mount parse_mount(std::string_view text);
/// `NAME[:ALIAS[,ALIAS …]]`. Throws PIPE_E_INVALID.
NetworkJoin parse_network(std::string_view text);
/// command, interval, timeout, start_period, retries. Throws PIPE_E_INVALID that names the key.
HealthCheck parse_health(const std::map<std::string, std::string> &);
/// A whole number or `unlimited`, alone or as soft:hard. Returns it with -1 for unlimited; throws
/// PIPE_E_INVALID.
std::string parse_ulimit(const std::string &name, const std::string &text);
/// NET_ADMIN for cap_net_admin.
std::string capability(std::string_view text);
/// `NAME=value` lines; `#` starts a comment line; `NAME` alone is taken from this process's environment.
/// Throws PIPE_E_NOT_FOUND, PIPE_E_INVALID with file and line (never with the value).
std::map<std::string, std::string> read_env_file(const std::filesystem::path &file);

std::string to_text(const PortBinding &);  // 127.0.0.1:8080->5000/tcp
std::string to_text(const Mount &);        // data:/var/lib/registry:ro

/// Labels that say what a container was asked to be. No value of `env` is in them, as it may be a secret.
inline constexpr std::string_view kSpecLabel = "pipe.spec";
inline constexpr std::string_view kTokenLabel = "pipe.token";  // which run made it: `undo` takes no other
inline constexpr std::string_view kReplacesLabel = "pipe.replaces";
std::string spec_label(const ContainerSpec &);
/// The restart policy that a container was asked to have, if it has kSpecLabel.
std::optional<std::string> asked_restart(const Container &);

/// What a container that was set aside was, while another takes its place: kReplacesLabel of the other.
struct Replaced {
  std::string restart;  // its policy
  bool running = false;
};
std::string replaces_label(const Replaced &);
std::optional<Replaced> read_replaces_label(const Container &);

struct Difference {
  std::string field, before, after;  // fit for people: values of env are not shown
};

/// How `actual` differs from `wanted`, field by field, the image aside. A container with kSpecLabel is held
/// against what it was asked to be then (and the facts that can change later), any other against the
/// engine's facts, of which more is allowed than was asked for. So what comes from the image or from the
/// engine is never a difference.
std::vector<Difference> differences(const ContainerSpec &wanted, const Container &actual);

/// The published ports of `wanted` that `actual` does not really have.
std::vector<PortBinding> missing_ports(const ContainerSpec &wanted, const Container &actual);

}  // namespace pipes::engine
