#pragma once
// One request and its answer, without redirects: what the callbacks of libcurl work on.
#include <curl/curl.h>
#include <pipe/http/client.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace pipes::http {

using Clock = std::chrono::steady_clock;

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

  /// A line of the head, as it came. Throws Error for what no client should believe.
  void take_header(std::string_view line);
  /// How much of a piece of the body was taken; another number than `size` ends the transfer.
  std::size_t take_body(const char *data, std::size_t size);
  /// Whether the one who named this URL may send us to an address of that zone.
  bool may_use(const std::string &ip, int port, Zone to);
};

/// Has libcurl call the exchange, which must outlive the transfer.
void set_callbacks(CURL *, Exchange &);

}  // namespace pipes::http
