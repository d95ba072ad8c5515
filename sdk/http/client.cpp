#include <pipe/http/client.hpp>

#include <curl/curl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>

#include "address.hpp"
#include "curl_error.hpp"

namespace pipes::http {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kLargestBuffer = 256u << 10, kSmallestBuffer = 16u << 10;
constexpr std::size_t kMaxErrorBody = 64u << 10;
constexpr std::size_t kMaxHeaders = 256u << 10;
constexpr int kMaxRedirects = 10;
constexpr const char *kCertificates = "/etc/ssl/certs";

struct EasyDeleter {
  void operator()(CURL *easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM *multi) const { curl_multi_cleanup(multi); }
};
struct ListDeleter {
  void operator()(curl_slist *list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

/// OpenSSL writes to sockets without MSG_NOSIGNAL; a peer that is gone must not end the process.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeBlocked() {
    constexpr timespec kAtOnce{};
    if (!was_pending_)
      while (sigtimedwait(&pipe_, nullptr, &kAtOnce) == -1 && errno == EINTR) {
      }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlocked(const SigpipeBlocked &) = delete;
  SigpipeBlocked &operator=(const SigpipeBlocked &) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

/// Debian's hashed directory costs 2 ms a process, the bundle file 35 ms; but it must be hashed.
bool has_hashed_certificates() {
  static const bool hashed = [] {
    std::error_code ignored;
    for (const auto &entry : std::filesystem::directory_iterator(kCertificates, ignored)) {
      const std::string name = entry.path().filename().string();
      if (name.size() == 10 && name.ends_with(".0") && name.find_first_not_of("0123456789abcdef") == 8)
        return true;
    }
    return false;
  }();
  return hashed;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

void append(HeaderList &list, const std::string &line) {
  if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    throw sdk::Error(PIPE_E_INVALID,
                     "a request header holds a line break: " + line.substr(0, line.find(':')));
  curl_slist *longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// One request and its answer, without redirects: what the callbacks of libcurl work on.
struct Exchange {
  const Request &request;
  const ClientOptions &options;
  const std::string &url;
  std::optional<Zone> sent_by;

  Response response{};
  Zone zone = Zone::internet;
  std::exception_ptr thrown{};
  std::string refused_address{};
  std::size_t header_bytes = 0;
  bool started = false;
  bool cut = false;  // enough of an error's body was read
  Clock::time_point last_progress = Clock::now();

  bool ok() const { return response.status >= 200 && response.status < 300; }

  /// Runs `body`; an exception is kept for after the transfer, which `failed` ends.
  template <class Result, class Body>
  Result guarded(Result failed, Body body) noexcept {
    last_progress = Clock::now();
    try {
      Result result = body();
      last_progress = Clock::now();
      return result;
    } catch (...) {
      thrown = std::current_exception();
      return failed;
    }
  }

  void take_header(std::string_view line) {
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
    if (name == "content-length" && !response.headers.all(name).empty() &&
        response.headers.get(name) != value)
      throw sdk::Error(PIPE_E_TRANSIENT,
                       Origin::of(url).str() + " gives two lengths for one answer: " +
                           std::string(response.headers.get(name)) + " and " + std::string(value),
                       "the server, or a proxy before it, is broken");
    response.headers.list.emplace_back(std::move(name), value);
  }

  std::size_t take_body(const char *data, std::size_t size) {
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

  bool may_use(const std::string &ip, int port, Zone to) {
    if (!sent_by || options.allow_private_redirects || !options.unix_socket.empty()) return true;
    if (may_send_to(*sent_by, to) || is_proxy(ip, port)) return true;
    refused_address = ip;
    return false;
  }
};

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

template <class Value>
void set(CURL *easy, CURLoption option, Value value) {
  if (curl_easy_setopt(easy, option, value) != CURLE_OK)
    throw sdk::Error(PIPE_E_INTERNAL, "libcurl refuses option " + std::to_string(option));
}

/// The system's certificates, where they are one file.
std::string bundle() {
  const char *path = curl_version_info(CURLVERSION_NOW)->cainfo;
  std::ifstream file(path == nullptr ? "" : path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void set_tls(CURL *easy, const ClientOptions &options, const std::string &host) {
  if (!options.verify) {
    set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  // A CA of the user's own is added to the system's, as Docker does: blobs may lie on a public CDN.
  if (has_hashed_certificates()) {
    set(easy, CURLOPT_CAPATH, kCertificates);
    set(easy, CURLOPT_CAINFO, options.ca_file.empty() ? nullptr : options.ca_file.c_str());
  } else if (!options.ca_file.empty() && options.ca_pem.empty()) {
    set(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  }
  if (!options.ca_pem.empty()) {
    curl_blob pem{.data = const_cast<char *>(options.ca_pem.data()),  // which libcurl only reads
                  .len = options.ca_pem.size(),
                  .flags = CURL_BLOB_NOCOPY};
    set(easy, CURLOPT_CAINFO_BLOB, &pem);
  }
  if (options.client_cert.empty()) return;
  if (!options.client_cert_host.empty() && host != options.client_cert_host) return;
  set(easy, CURLOPT_SSLCERT, options.client_cert.c_str());
  if (!options.client_key.empty()) set(easy, CURLOPT_SSLKEY, options.client_key.c_str());
  set(easy, CURLOPT_KEYPASSWD, "");  // else OpenSSL asks for one at the terminal
}

void set_method_and_body(CURL *easy, const Request &request) {
  const std::string &method = request.method;
  if (request.source) {
    set(easy, CURLOPT_UPLOAD, 1L);
    set(easy, CURLOPT_INFILESIZE_LARGE,
        request.body_size ? static_cast<curl_off_t>(*request.body_size) : curl_off_t{-1});
    set(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  } else if (method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (method == "GET") {
    set(easy, CURLOPT_HTTPGET, 1L);
  } else {
    const bool sends_length = !request.body.empty() || method != "DELETE";
    if (sends_length) {
      set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      set(easy, CURLOPT_POSTFIELDS, request.body.data());
    }
    set(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
}

/// A sixteenth of what it is for: below that a buffer costs more than it saves, as libcurl takes a fresh one
/// for each request, and each of its pages is one more that has to be mapped.
long buffer_size(bool streams, const std::optional<std::uint64_t> &body) {
  if (!streams) return kSmallestBuffer;
  return static_cast<long>(
      std::clamp(body.value_or(kLargestBuffer * 16) / 16, kSmallestBuffer, kLargestBuffer));
}

HeaderList header_lines(const Request &request, std::string_view authorization) {
  HeaderList list;
  append(list, "Expect:");  // libcurl waits a second for servers that never send 100
  bool typed = false, accepts = false;
  for (const auto &[name, value] : request.headers) {
    append(list, value.empty() ? name + ";" : name + ": " + value);
    typed = typed || name == "Content-Type";
    accepts = accepts || name == "Accept";
  }
  if (!typed) append(list, "Content-Type:");  // libcurl would say "form"
  if (!accepts) append(list, "Accept: */*");
  if (!authorization.empty()) append(list, "Authorization: " + std::string(authorization));
  return list;
}

/// The callbacks alone don't tell: what was taken from a source may be long under way.
curl_off_t moved_bytes(CURL *easy) {
  curl_off_t up = 0, down = 0;
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &up);
  curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
  return up + down;
}

}  // namespace

struct Client::State {
  State(ClientOptions given, sdk::Observer &watcher) : options(std::move(given)), observer(watcher) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    if (!options.ca_pem.empty() && !has_hashed_certificates()) options.ca_pem += bundle();
    easy.reset(curl_easy_init());
    multi.reset(curl_multi_init());
    if (!easy || !multi) throw std::bad_alloc();
  }

  Response follow(const Request &request);
  Response exchange(const Request &request, const std::string &url, const std::string &authorization,
                    std::optional<Zone> sent_by);
  void configure(Exchange &exchange, curl_slist *headers);
  CURLcode transfer(Exchange &exchange);
  [[noreturn]] void fail(const Exchange &exchange, CURLcode code);

  ClientOptions options;
  sdk::Observer &observer;
  std::unique_ptr<CURLM, MultiDeleter> multi;  // keeps the connections
  std::unique_ptr<CURL, EasyDeleter> easy;     // before `multi` in destruction, as libcurl asks
  std::array<char, CURL_ERROR_SIZE> error_text{};
};

Response Client::State::follow(const Request &request) {
  std::string url = request.url;
  std::string authorization = request.authorization;
  std::optional<Zone> sent_by = request.sent_by;
  Zone home_zone = Zone::internet;
  const bool may_follow = request.follow && (request.method == "GET" || request.method == "HEAD");
  for (int hop = 0;; ++hop) {
    const Origin here = Origin::of(url);
    Response response = exchange(request, url, authorization, sent_by);
    if (hop == 0) home_zone = response.zone;
    response.zone = home_zone;
    const std::string_view location = response.headers.get("location");
    if (!may_follow || !is_redirect(response.status) || location.empty()) return response;
    if (hop == kMaxRedirects)
      throw sdk::Error(PIPE_E_INVALID, display_url(request.url) + " redirects more than " +
                                           std::to_string(kMaxRedirects) + " times");
    std::string next = resolve_url(url, location);
    const Origin there = Origin::of(next);
    if (there != here) authorization.clear();  // for good: a way back would be one that another chose
    if (here.scheme == "https" && there.scheme == "http")
      throw sdk::Error(PIPE_E_DENIED,
                       display_url(url) + " redirects from https to plain http: " + display_url(next),
                       "that would give up encryption on the way; it is not followed");
    url = std::move(next);
    sent_by = home_zone;
  }
}

void Client::State::configure(Exchange &exchange, curl_slist *headers) {
  CURL *handle = easy.get();
  curl_easy_reset(handle);
  error_text[0] = '\0';
  set(handle, CURLOPT_URL, exchange.url.c_str());
  set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_ERRORBUFFER, error_text.data());
  set(handle, CURLOPT_USERAGENT, "pipe/" PIPE_VERSION);
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  set(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  const Request &request = exchange.request;
  set(handle, CURLOPT_BUFFERSIZE, buffer_size(request.sink != nullptr, request.expected_size));
  set(handle, CURLOPT_UPLOAD_BUFFERSIZE, buffer_size(request.source != nullptr, request.body_size));
  set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(handle, CURLOPT_HTTPHEADER, headers);
  if (!options.unix_socket.empty()) set(handle, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
  const Origin origin = Origin::of(exchange.url);
  if (!options.unix_socket.empty() || origin.loopback()) set(handle, CURLOPT_PROXY, "");
  if (origin.scheme == "https") set_tls(handle, options, origin.host);
  set_method_and_body(handle, request);
  set(handle, CURLOPT_HEADERFUNCTION, &on_header);
  set(handle, CURLOPT_HEADERDATA, &exchange);
  set(handle, CURLOPT_WRITEFUNCTION, &on_body);
  set(handle, CURLOPT_WRITEDATA, &exchange);
  set(handle, CURLOPT_READFUNCTION, &on_upload);
  set(handle, CURLOPT_READDATA, &exchange);
  set(handle, CURLOPT_OPENSOCKETFUNCTION, &on_open_socket);
  set(handle, CURLOPT_OPENSOCKETDATA, &exchange);
  set(handle, CURLOPT_PREREQFUNCTION, &on_connected);
  set(handle, CURLOPT_PREREQDATA, &exchange);
}

/// Runs the transfer to its end, or until it is cancelled or stands still (both throw).
CURLcode Client::State::transfer(Exchange &exchange) {
  struct Added {
    CURLM *multi;
    CURL *easy;
    ~Added() { curl_multi_remove_handle(multi, easy); }
  };
  curl_multi_add_handle(multi.get(), easy.get());
  const Added added{multi.get(), easy.get()};
  curl_waitfd cancel{.fd = observer.cancel_fd(), .events = CURL_WAIT_POLLIN, .revents = 0};
  const auto no_progress = exchange.request.no_progress;
  curl_off_t moved_before = 0;
  exchange.last_progress = Clock::now();
  for (;;) {
    observer.check_cancelled();
    if (exchange.request.give_up && exchange.request.give_up())
      throw sdk::Error(PIPE_E_CANCELLED, "nobody wants the answer any more");
    int running = 0, left = 0;
    if (CURLMcode code = curl_multi_perform(multi.get(), &running); code != CURLM_OK)
      throw sdk::Error(PIPE_E_INTERNAL, std::string("libcurl: ") + curl_multi_strerror(code));
    while (const CURLMsg *message = curl_multi_info_read(multi.get(), &left))
      if (message->msg == CURLMSG_DONE) return message->data.result;
    if (const curl_off_t moved = moved_bytes(easy.get()); moved != moved_before) {
      moved_before = moved;
      exchange.last_progress = Clock::now();
    }
    if (no_progress.count() > 0 && Clock::now() - exchange.last_progress > no_progress)
      throw sdk::Error(PIPE_E_TIMEOUT,
                       "nothing moved between here and " + Origin::of(exchange.url).str() + " for " +
                           std::to_string(no_progress.count() / 1000) + " s",
                       "the server or the network hangs");
    curl_multi_poll(multi.get(), &cancel, cancel.fd >= 0 ? 1 : 0, 500, nullptr);
  }
}

void Client::State::fail(const Exchange &exchange, CURLcode code) {
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);
  if (!exchange.refused_address.empty())
    throw sdk::Error(
        PIPE_E_DENIED,
        display_url(exchange.url) + " lies at " + exchange.refused_address +
            ", inside this machine or its network, and was named by a server that does not",
        "a server may not send pipe there; if this is your own set-up, address that host itself");
  long os_error = 0;
  curl_off_t connect_time = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_OS_ERRNO, &os_error);
  curl_easy_getinfo(easy.get(), CURLINFO_CONNECT_TIME_T, &connect_time);
  throw_failure({.code = code,
                 .os_error = static_cast<int>(os_error),
                 .text = error_text[0] != '\0' ? error_text.data() : curl_easy_strerror(code),
                 .connected = connect_time > 0},
                exchange.url, options);
}

Response Client::State::exchange(const Request &request, const std::string &url,
                                 const std::string &authorization, std::optional<Zone> sent_by) {
  const HeaderList headers = header_lines(request, authorization);
  Exchange exchange{.request = request, .options = options, .url = url, .sent_by = sent_by};
  configure(exchange, headers.get());
  const SigpipeBlocked quiet;
  const CURLcode code = transfer(exchange);
  // A server that refuses an upload may answer and close before it has read all of it.
  const bool answered_early =
      exchange.response.status >= 400 && (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR);
  if (code != CURLE_OK && !(exchange.cut && !exchange.thrown) && !answered_early) fail(exchange, code);
  exchange.response.url = url;
  exchange.response.zone = exchange.zone;
  return std::move(exchange.response);
}

Client::Client(ClientOptions options, sdk::Observer &observer)
    : state_(std::make_unique<State>(std::move(options), observer)) {}
Client::Client(Client &&) noexcept = default;
Client &Client::operator=(Client &&) noexcept = default;
Client::~Client() = default;

Response Client::send(const Request &request) {
  return state_->follow(request);
}

}  // namespace pipes::http
