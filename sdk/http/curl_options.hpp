#pragma once
// A request, in the options of libcurl.
#include <curl/curl.h>
#include <pipe/error.hpp>
#include <pipe/http/client.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pipes::http {

struct ListDeleter {
  void operator()(curl_slist *list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

template <class Value>
void set(CURL *easy, CURLoption option, Value value) {
  if (curl_easy_setopt(easy, option, value) != CURLE_OK)
    throw sdk::Error(PIPE_E_INTERNAL, "libcurl refuses option " + std::to_string(option));
}

/// Whether the system's certificates are a hashed directory: it costs 2 ms a process, the bundle file 35 ms.
bool has_hashed_certificates();
/// The system's certificates, where they are one file.
std::string certificate_bundle();

void set_tls(CURL *easy, const ClientOptions &options, const std::string &host);
void set_method_and_body(CURL *easy, const Request &request);
void set_buffers(CURL *easy, const Request &request);
/// Throws Error if a header holds a line break.
HeaderList header_lines(const Request &request, std::string_view authorization);

}  // namespace pipes::http
