// URLs and headers: what libcurl's URL parser gives, as values.
#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include <pipe/http/client.hpp>

namespace pipes::http {
namespace {

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

Url new_url() {
  Url url(curl_url(), &curl_url_cleanup);
  if (!url) throw std::bad_alloc();
  return url;
}

std::string part(CURLU *url, CURLUPart which, unsigned flags = 0) {
  char *text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string result(text);
  curl_free(text);
  return result;
}

[[noreturn]] void refuse(std::string_view url, std::string_view why) {
  throw sdk::Error(PIPE_E_INVALID, "'" + display_url(url) + "' is no usable URL: " + std::string(why));
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_unreserved(unsigned char c) {
  return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
}

/// 127.0.0.0/8 in dotted form, which is the form that libcurl's parser gives every numeric host.
bool is_loopback_ipv4(std::string_view host) {
  return host.starts_with("127.") && std::ranges::count(host, '.') == 3 &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::string_view Headers::get(std::string_view name) const {
  std::string_view last;
  for (const auto &[key, value] : list)
    if (key == name) last = value;
  return last;
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto &[key, value] : list)
    if (key == name) values.emplace_back(value);
  return values;
}

Origin Origin::of(std::string_view text) {
  Url url = new_url();
  if (CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0);
      code != CURLUE_OK)
    refuse(text, curl_url_strerror(code));
  Origin origin;
  origin.scheme = lower(part(url.get(), CURLUPART_SCHEME));
  if (origin.scheme != "http" && origin.scheme != "https")
    refuse(text, "only http and https are spoken here");
  if (!part(url.get(), CURLUPART_USER).empty() || !part(url.get(), CURLUPART_PASSWORD).empty())
    refuse(text, "it holds a user name or a password");
  origin.host = lower(part(url.get(), CURLUPART_HOST));
  if (origin.host.empty()) refuse(text, "it has no host");
  const std::string port = part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(port.data(), port.data() + port.size(), origin.port);
  return origin;
}

std::string Origin::str() const {
  const bool usual = port == (scheme == "https" ? 443 : 80);
  return scheme + "://" + host + (usual ? std::string() : ":" + std::to_string(port));
}

bool Origin::loopback() const {
  return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" || is_loopback_ipv4(host);
}

std::string resolve_url(std::string_view base, std::string_view location) {
  Url url = new_url();
  if (curl_url_set(url.get(), CURLUPART_URL, std::string(base).c_str(), 0) != CURLUE_OK)
    refuse(base, "malformed");
  if (CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, std::string(location).c_str(), 0);
      code != CURLUE_OK)
    refuse(location, curl_url_strerror(code));
  curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  std::string result = part(url.get(), CURLUPART_URL);
  if (result.empty()) refuse(location, "malformed");
  return result;
}

std::string encode_component(std::string_view text) {
  static constexpr std::array kHex{'0', '1', '2', '3', '4', '5', '6', '7',
                                   '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'};
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(byte)) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string display_url(std::string_view url) {
  std::string_view shown = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme = shown.find("://");
  const std::size_t authority = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::string_view host = shown.substr(authority, shown.find('/', authority) - authority);
  const std::size_t at = host.rfind('@');
  std::string result(shown.substr(0, authority));
  result += shown.substr(at == std::string_view::npos ? authority : authority + at + 1);
  std::ranges::replace_if(
      result, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return result;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
  const time_t seconds = curl_getdate(std::string(text).c_str(), nullptr);
  if (seconds < 0) return std::nullopt;
  return seconds;
}

}  // namespace pipes::http
