#include "exchange.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "address.hpp"
#include "curl_options.hpp"

namespace pipes::http {
namespace {

constexpr std::size_t kMaxErrorBody = 64u << 10;
constexpr std::size_t kMaxHeaders = 256u << 10;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

extern "C" {

std::size_t on_header(char *data, std::size_t size, std::size_t count, void *exchange) noexcept {
  auto &self = *static_cast<Exchange *>(exchange);
  return self.guarded<std::size_t>(0, [&] {
    self.take_header({data, size * count});
    return size * count;
  });
}

std::size_t on_body(char *data, std::size_t size, std::size_t count, void *exchange) noexcept {
  auto &self = *static_cast<Exchange *>(exchange);
  return self.guarded<std::size_t>(size * count + 1, [&] { return self.take_body(data, size * count); });
}

std::size_t on_upload(char *data, std::size_t size, std::size_t count, void *exchange) noexcept {
  auto &self = *static_cast<Exchange *>(exchange);
  return self.guarded<std::size_t>(CURL_READFUNC_ABORT,
                                   [&] { return self.request.source(data, size * count); });
}

curl_socket_t on_open_socket(void *exchange, curlsocktype, curl_sockaddr *address) noexcept {
  auto &self = *static_cast<Exchange *>(exchange);
  return self.guarded<curl_socket_t>(CURL_SOCKET_BAD, [&] {
    if (address->family == AF_INET || address->family == AF_INET6) {
      const Endpoint peer = endpoint_of(address->addr);
      if (!self.may_use(peer.ip, peer.port, zone_of(peer.ip))) return CURL_SOCKET_BAD;
    }
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  });
}

// A kept connection has no socket to open; this sees every request just before it is sent.
int on_connected(void *exchange, char *ip, char *, int port, int) noexcept {
  auto &self = *static_cast<Exchange *>(exchange);
  return self.guarded<int>(CURL_PREREQFUNC_ABORT, [&] {
    if (!self.options.unix_socket.empty()) return CURL_PREREQFUNC_OK;
    self.zone = zone_of(ip);
    return self.may_use(ip, port, self.zone) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
  });
}

}  // extern "C"

}  // namespace

void Exchange::take_header(std::string_view line) {
  header_bytes += line.size();
  if (header_bytes > kMaxHeaders)
    throw sdk::Error(PIPE_E_INVALID, Origin::of(url).str() + " sent more than 256 KiB of headers");
  if (line.starts_with("HTTP/")) {  // a new answer: what came before was 1xx
    response.headers.list.clear();
    const auto space = line.find(' ');
    response.status =
        space == std::string_view::npos ? 0 : std::atoi(std::string(line.substr(space + 1, 3)).c_str());
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(trimmed(line.substr(0, colon)));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string_view value = trimmed(line.substr(colon + 1));
  // RFC 9112, section 6.3: where it ends, and whether another answer is hidden in it, nobody knows.
  if (name == "content-length" && !response.headers.all(name).empty() && response.headers.get(name) != value)
    throw sdk::Error(PIPE_E_TRANSIENT,
                     Origin::of(url).str() + " gives two lengths for one answer: " +
                         std::string(response.headers.get(name)) + " and " + std::string(value),
                     "the server, or a proxy before it, is broken");
  response.headers.list.emplace_back(std::move(name), value);
}

std::size_t Exchange::take_body(const char *data, std::size_t size) {
  if (ok() && request.sink) {
    if (!started && request.start) request.start(response);
    started = true;
    request.sink(data, size);
    return size;
  }
  const std::size_t limit = ok() ? request.max_body : std::min(request.max_body, kMaxErrorBody);
  if (response.body.size() + size <= limit) {
    response.body.append(data, size);
    return size;
  }
  if (ok())
    throw sdk::Error(PIPE_E_INVALID, "the answer of " + display_url(url) + " is larger than " +
                                         std::to_string(limit) + " bytes");
  response.body.append(data, limit - response.body.size());
  cut = true;
  return size + 1;  // ends the transfer
}

bool Exchange::may_use(const std::string &ip, int port, Zone to) {
  if (!sent_by || options.allow_private_redirects || !options.unix_socket.empty()) return true;
  if (may_send_to(*sent_by, to) || is_proxy(ip, port)) return true;
  refused_address = ip;
  return false;
}

void set_callbacks(CURL *easy, Exchange &exchange) {
  set(easy, CURLOPT_HEADERFUNCTION, &on_header);
  set(easy, CURLOPT_HEADERDATA, &exchange);
  set(easy, CURLOPT_WRITEFUNCTION, &on_body);
  set(easy, CURLOPT_WRITEDATA, &exchange);
  set(easy, CURLOPT_READFUNCTION, &on_upload);
  set(easy, CURLOPT_READDATA, &exchange);
  set(easy, CURLOPT_OPENSOCKETFUNCTION, &on_open_socket);
  set(easy, CURLOPT_OPENSOCKETDATA, &exchange);
  set(easy, CURLOPT_PREREQFUNCTION, &on_connected);
  set(easy, CURLOPT_PREREQDATA, &exchange);
}

}  // namespace pipes::http
