#pragma once
// A server on a free loopback port (or a unix socket) that answers each request with exactly the bytes a
// test gives it, broken ones included.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace pipes::http::testing {

struct Seen {
  std::string head, body;
};

class LoopbackServer {
 public:
  /// Gives the bytes of the answer; the connection is kept unless they hold "Connection: close".
  using Answer = std::function<std::string(const Seen &)>;

  explicit LoopbackServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listen_at(reinterpret_cast<sockaddr *>(&address), sizeof address);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  LoopbackServer(const std::string &unix_path, Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, unix_path.c_str(), sizeof address.sun_path - 1);
    listen_at(reinterpret_cast<sockaddr *>(&address), sizeof address);
  }
  ~LoopbackServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread &thread : threads_) thread.join();
    ::close(listener_);
  }
  LoopbackServer(const LoopbackServer &) = delete;
  LoopbackServer &operator=(const LoopbackServer &) = delete;

  std::string url(const std::string &path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int port() const { return port_; }
  int connections() const { return connections_; }
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void listen_at(const sockaddr *address, socklen_t size) {
    if (::bind(listener_, address, size) != 0 || ::listen(listener_, 16) != 0)
      throw std::runtime_error("no listener");
    acceptor_ = std::thread([this] {
      for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        ++connections_;
        const std::lock_guard lock(mutex_);
        open_.push_back(fd);
        threads_.emplace_back([this, fd] { serve(fd); });
      }
    });
  }

  static bool more(int fd, std::string &buffer) {
    char piece[16384];
    const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  /// What Go's servers do with a TLS greeting on a plain port.
  static bool speaks_tls(int fd, const std::string &buffer) {
    if (!buffer.starts_with('\x16')) return false;
    constexpr std::string_view kAnswer = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request";
    ::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    return true;
  }

  void serve(int fd) {
    std::string buffer;
    while (true) {
      std::size_t end;
      while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
        if (!more(fd, buffer) || speaks_tls(fd, buffer)) return close_it(fd);
      Seen request{buffer.substr(0, end + 2), {}};
      buffer.erase(0, end + 4);
      if (request.head.find("Transfer-Encoding: chunked") != std::string::npos) {
        std::size_t last;
        while ((last = buffer.find("0\r\n\r\n")) == std::string::npos)
          if (!more(fd, buffer)) return close_it(fd);
        request.body = buffer.substr(0, last + 5);
        buffer.erase(0, last + 5);
      } else if (const auto at = request.head.find("Content-Length: "); at != std::string::npos) {
        const std::size_t size = std::stoul(request.head.substr(at + 16));
        while (buffer.size() < size)
          if (!more(fd, buffer)) return close_it(fd);
        request.body = buffer.substr(0, size);
        buffer.erase(0, size);
      }
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(request);
      }
      const std::string bytes = answer_(request);
      for (std::size_t sent = 0; sent < bytes.size();) {
        const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return close_it(fd);
        sent += static_cast<std::size_t>(n);
      }
      if (bytes.empty() || bytes.find("Connection: close") != std::string::npos) return close_it(fd);
    }
  }

  void close_it(int fd) {
    const std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
  }

  Answer answer_;
  int listener_ = -1, port_ = 0;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace pipes::http::testing
