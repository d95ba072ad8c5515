#pragma once
// What a failed libcurl transfer means to people.
#include <pipe/http/client.hpp>

#include <string>

namespace pipes::http {

/// What is known of a transfer that failed.
struct Failure {
  int code = 0;      // CURLcode
  int os_error = 0;  // errno of the last failed connect
  std::string text;  // libcurl's own message
  bool connected = false;
};

/// Throws the sdk::Error (or TlsError) that fits.
[[noreturn]] void throw_failure(const Failure &, const std::string &url, const ClientOptions &);

}  // namespace pipes::http
