#include "curl_options.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <system_error>

namespace pipes::http {
namespace {

constexpr std::uint64_t kLargestBuffer = 256u << 10, kSmallestBuffer = 16u << 10;
constexpr const char *kCertificates = "/etc/ssl/certs";

void append(HeaderList &list, const std::string &line) {
  if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    throw sdk::Error(PIPE_E_INVALID,
                     "a request header holds a line break: " + line.substr(0, line.find(':')));
  curl_slist *longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

/// A sixteenth of what it is for: below that a buffer costs more than it saves, as libcurl takes a fresh one
/// for each request, and each of its pages is one more that has to be mapped.
long buffer_size(bool streams, const std::optional<std::uint64_t> &body) {
  if (!streams) return kSmallestBuffer;
  return static_cast<long>(
      std::clamp(body.value_or(kLargestBuffer * 16) / 16, kSmallestBuffer, kLargestBuffer));
}

}  // namespace

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

std::string certificate_bundle() {
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

void set_buffers(CURL *easy, const Request &request) {
  set(easy, CURLOPT_BUFFERSIZE, buffer_size(request.sink != nullptr, request.expected_size));
  set(easy, CURLOPT_UPLOAD_BUFFERSIZE, buffer_size(request.source != nullptr, request.body_size));
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

}  // namespace pipes::http
