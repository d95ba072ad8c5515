#include <pipe/http/client.hpp>

#include <curl/curl.h>
#include <signal.h>

#include <array>
#include <cerrno>
#include <mutex>

#include "curl_error.hpp"
#include "curl_options.hpp"
#include "exchange.hpp"

namespace pipes::http {
namespace {

constexpr int kMaxRedirects = 10;

struct EasyDeleter {
  void operator()(CURL *easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM *multi) const { curl_multi_cleanup(multi); }
};

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

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
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
    if (!options.ca_pem.empty() && !has_hashed_certificates()) options.ca_pem += certificate_bundle();
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
  set_buffers(handle, exchange.request);
  set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(handle, CURLOPT_HTTPHEADER, headers);
  if (!options.unix_socket.empty()) set(handle, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
  const Origin origin = Origin::of(exchange.url);
  if (!options.unix_socket.empty() || origin.loopback()) set(handle, CURLOPT_PROXY, "");
  if (origin.scheme == "https") set_tls(handle, options, origin.host);
  set_method_and_body(handle, exchange.request);
  set_callbacks(handle, exchange);
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
