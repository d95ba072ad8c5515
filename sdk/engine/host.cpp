#include <pipe/engine/host.hpp>

#include <arpa/inet.h>
#include <dirent.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <pipe/http/client.hpp>
#include <system_error>

#include "any.hpp"
#include "host_net.hpp"
#include "places.hpp"
#include "unique_fd.hpp"

namespace pipes::engine {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kOneTry = 2s;
constexpr auto kStaysOpen = 150ms;  // docker-proxy accepts before it finds that nothing listens behind it

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr *get() const { return reinterpret_cast<const sockaddr *>(&storage); }
};

std::optional<Address> resolve(const std::string &host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(found, &::freeaddrinfo);
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  return address;
}

/// The process that has a socket open, as far as /proc shows it to us: "nginx (pid 123)".
std::string process_with_socket(std::uint64_t inode) {
  const std::string wanted = fmt::format("socket:[{}]", inode);
  std::error_code error;
  for (const fs::directory_entry &process : fs::directory_iterator("/proc", error)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code hidden;
    for (const fs::directory_entry &fd : fs::directory_iterator(process.path() / "fd", hidden)) {
      if (fs::read_symlink(fd.path(), hidden) != wanted) continue;
      std::string name = read_text(process.path() / "comm");
      while (name.ends_with('\n')) name.pop_back();
      return fmt::format("{} (pid {})", name, pid);
    }
  }
  return {};
}

std::string owner_of(int port, bool udp) {
  for (const char *table :
       {udp ? "/proc/net/udp" : "/proc/net/tcp", udp ? "/proc/net/udp6" : "/proc/net/tcp6"})
    for (const std::uint64_t inode : listening_inodes(read_text(table), port, udp))
      if (std::string owner = process_with_socket(inode); !owner.empty()) return owner;
  return {};
}

/// Waits for `events`, cancellation or the time. False: the time is over.
bool wait_for(int fd, short events, Clock::time_point limit, sdk::Observer &observer) {
  for (;;) {
    observer.check_cancelled();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now()).count();
    if (left <= 0) return false;
    pollfd polled[2] = {{fd, events, 0}, {observer.cancel_fd(), POLLIN, 0}};
    const int ready =
        ::poll(polled, polled[1].fd < 0 ? 1 : 2, static_cast<int>(std::min<long long>(left, 200)));
    if (ready > 0 && polled[0].revents != 0) return true;
  }
}

std::string why_not(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "connection refused";
    case ECONNRESET:
      return "connection reset";
    case 0:
      return "connection closed";
    default:
      return std::strerror(error);
  }
}

/// Connects; on failure the descriptor is empty and errno says why.
UniqueFd connect_to(const Address &address, Clock::time_point limit, sdk::Observer &observer) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fd;
  if (::connect(fd.get(), address.get(), address.size) == 0) return fd;
  int error = errno;
  if (error == EINPROGRESS) {
    socklen_t size = sizeof error;
    error = ETIMEDOUT;
    if (wait_for(fd.get(), POLLOUT, limit, observer))
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return fd;
  }
  errno = error;
  return UniqueFd();
}

Answer ask_tcp(const Ready &ready, bool speaks_http, sdk::Observer &observer) {
  const auto limit = Clock::now() + kOneTry;
  const auto address = resolve(ready.host, ready.port);
  if (!address) return {.detail = fmt::format("the host {} is not known", ready.host)};
  UniqueFd fd = connect_to(*address, limit, observer);
  if (!fd) return {.detail = why_not(errno)};
  if (speaks_http) {
    const std::string request =
        fmt::format("GET /v2/ HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", ready.host, ready.port);
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {.detail = why_not(errno)};
  }
  std::string head;
  const auto until = speaks_http ? limit : Clock::now() + kStaysOpen;
  while (head.size() < 12) {
    if (!wait_for(fd.get(), POLLIN, until, observer))
      return {.ready = !speaks_http, .detail = speaks_http ? "no answer" : "connected"};
    char buffer[256];
    const ssize_t count = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (count < 0 && errno == EAGAIN) continue;
    if (count <= 0 && head.empty()) return {.detail = why_not(count < 0 ? errno : 0)};
    if (count <= 0) break;
    if (!speaks_http) return {.ready = true, .detail = "it speaks"};
    head.append(buffer, static_cast<std::size_t>(count));
  }
  return judge_first_bytes(head);
}

Answer ask_http(const Ready &ready, sdk::Observer &observer) {
  // No credentials are sent, and the certificate is often made for another name: it is not checked here.
  http::Client client({.unix_socket = {},
                       .ca_file = {},
                       .client_cert = {},
                       .client_key = {},
                       .verify = false,
                       .connect_timeout = kOneTry},
                      observer);
  http::Request request;
  request.url = ready.url;
  request.follow = false;
  request.no_progress = kOneTry;
  request.sink = [](const char *, std::size_t) {};
  try {
    const int status = client.send(request).status;
    return {.ready = (status >= 200 && status < 400) || status == 401,
            .detail = fmt::format("HTTP {}", status)};
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    return {.detail = error.message};
  }
}

}  // namespace

std::vector<std::uint64_t> listening_inodes(std::string_view table, int port, bool udp) {
  // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
  // (Documentation/networking/proc_net_tcp.rst)
  std::vector<std::uint64_t> inodes;
  for (std::size_t begin = 0; begin < table.size();) {
    const std::size_t end = std::min(table.find('\n', begin), table.size());
    const std::string line(table.substr(begin, end - begin));
    begin = end + 1;
    unsigned local_port = 0, state = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %llu",
                    &local_port, &state, &inode) != 3)
      continue;
    constexpr unsigned kListen = 0x0A, kUnconnected = 0x07;
    if (local_port == static_cast<unsigned>(port) && state == (udp ? kUnconnected : kListen))
      inodes.push_back(inode);
  }
  return inodes;
}

Answer judge_first_bytes(std::string_view head) {
  if (!head.starts_with("HTTP/")) return {.ready = true, .detail = "it speaks, but not HTTP"};
  const auto space = head.find(' ');
  int status = 0;
  if (space != std::string_view::npos)
    std::from_chars(head.data() + space + 1, head.data() + head.size(), status);
  return {.ready = status >= 100 && status < 500,
          .registry = status == 200 || status == 401,
          .detail = fmt::format("HTTP {}", status)};
}

PortCheck check_port(const PortBinding &binding) {
  int port = 0;
  std::from_chars(binding.host_port.data(), binding.host_port.data() + binding.host_port.size(), port);
  if (port == 0) return {};
  const bool udp = binding.container.ends_with("/udp");
  const auto address = resolve(binding.host_ip.empty() ? "0.0.0.0" : binding.host_ip, port);
  if (!address) return {false, fmt::format("{} is no address", binding.host_ip)};
  UniqueFd fd(::socket(address->storage.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  const int on = 1;  // as engines do: a connection in TIME_WAIT is no obstacle, a listener is
  if (!udp) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.get(), address->get(), address->size) == 0) return {};
  if (errno == EADDRNOTAVAIL)
    return {false, fmt::format("{} is no address of this machine", binding.host_ip)};
  if (errno != EADDRINUSE) return {};  // EACCES below 1024: the engine may do what we may not
  const std::string owner = owner_of(port, udp);
  return {false, owner.empty() ? "in use" : "taken by " + owner};
}

std::string reach(const PortBinding &port, std::string_view engine_host) {
  if (any_address(port.host_ip)) return fmt::format("{}:{}", engine_host, port.host_port);
  const bool v6 = port.host_ip.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", port.host_ip, v6 ? "]" : "", port.host_port);
}

Ready Ready::parse(std::string_view text, const std::vector<PortBinding> &bound,
                   std::string_view engine_host) {
  Ready ready;
  if (text == "none") return ready;
  if (text == "healthy") {
    ready.kind = Kind::healthy;
    return ready;
  }
  if (text.starts_with("http://") || text.starts_with("https://")) {
    http::Origin::of(text);
    ready.kind = Kind::http;
    ready.url = text;
    return ready;
  }
  std::string address;
  if (text.empty()) {
    const auto first = std::find_if(bound.begin(), bound.end(), [](const PortBinding &port) {
      return port.container.ends_with("/tcp") && !port.host_port.empty();
    });
    ready.kind = first == bound.end() ? Kind::running : Kind::service;
    if (first == bound.end()) return ready;
    address = reach(*first, engine_host);
  } else {
    ready.kind = Kind::tcp;
    address = text.starts_with("tcp://") ? text.substr(6) : text;
  }
  const auto colon = address.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), ready.port);
    ready.host = address.substr(0, colon);
    if (ready.host.starts_with('[') && ready.host.ends_with(']'))
      ready.host = ready.host.substr(1, ready.host.size() - 2);
  }
  if (ready.port <= 0 || ready.port > 65535)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("ready: `{}` is no address to ask", text),
                     "expected a URL, tcp://host:port, `healthy` or `none`");
  return ready;
}

std::string Ready::str() const {
  switch (kind) {
    case Kind::none:
      return "nothing";
    case Kind::running:
      return "that it keeps running";
    case Kind::service:
      return fmt::format("http://{}:{}/v2/", host, port);
    case Kind::healthy:
      return "its health check";
    case Kind::tcp:
      return fmt::format("tcp://{}:{}", host, port);
    case Kind::http:
      return http::display_url(url);
  }
  return {};
}

Answer ask(const Ready &ready, sdk::Observer &observer) {
  switch (ready.kind) {
    case Ready::Kind::service:
      return ask_tcp(ready, true, observer);
    case Ready::Kind::tcp:
      return ask_tcp(ready, false, observer);
    case Ready::Kind::http:
      return ask_http(ready, observer);
    default:
      return {.ready = true, .detail = {}};
  }
}

}  // namespace pipes::engine
