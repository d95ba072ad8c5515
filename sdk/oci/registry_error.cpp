#include "registry_error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <ctime>
#include <optional>
#include <vector>

#include "json.hpp"

namespace pipes::oci {
namespace {

constexpr std::size_t kMaxShown = 300;
constexpr std::int64_t kMaxRetryAfter = 24 * 3600 * 1000LL;

/// One line of printable characters.
std::string shown(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool space = byte <= 0x20 || byte == 0x7f;
    if (space && (line.empty() || line.back() == ' ')) continue;
    if (line.size() >= kMaxShown) break;
    line += space ? ' ' : c;
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

std::string text_at(const Json &object, const char *key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

struct Problem {
  std::string code, message;
};

std::vector<Problem> problems_in(const Json &body) {
  std::vector<Problem> problems;
  if (!body.is_object()) return problems;
  if (const auto errors = body.find("errors"); errors != body.end() && errors->is_array())
    for (const Json &error : *errors) {
      Problem problem{text_at(error, "code"), text_at(error, "message")};
      if (const std::string detail = text_at(error, "detail"); !detail.empty() && detail != problem.message)
        problem.message += problem.message.empty() ? detail : " (" + detail + ")";
      problems.push_back(std::move(problem));
    }
  for (const char *key : {"message", "error_description", "details", "error"})
    if (problems.empty() && !text_at(body, key).empty()) problems.push_back({{}, text_at(body, key)});
  return problems;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool is_web_page(const http::Response &response) {
  const std::string start = lower(std::string_view(response.body).substr(0, 256));
  return response.headers.get("content-type").find("text/html") != std::string_view::npos ||
         start.find("<!doctype html") != std::string::npos || start.find("<html") != std::string::npos;
}

std::string title_of(const std::string &page) {
  const std::string plain = lower(page);
  const std::size_t open = plain.find("<title>");
  if (open == std::string::npos) return {};
  const std::size_t end = plain.find("</title>", open);
  return end == std::string::npos ? std::string()
                                  : shown(std::string_view(page).substr(open + 7, end - open - 7));
}

Json parse(const http::Response &response) {
  return Json::parse(response.body, nullptr, false);
}

}  // namespace

std::string explain(const http::Response &response) {
  if (is_web_page(response)) {
    const std::string title = title_of(response.body);
    return title.empty() ? ": a web page, not a registry's answer"
                         : fmt::format(": a web page, \"{}\"", title);
  }
  const std::vector<Problem> problems = problems_in(parse(response));
  if (problems.empty()) {
    const std::string text = shown(response.body);
    return text.empty() || text.starts_with('{') ? std::string() : ": " + text;
  }
  std::string all;
  for (const Problem &problem : problems) {
    if (all.size() > kMaxShown) break;
    all += all.empty() ? ": " : "; ";
    all += shown(problem.code);
    if (!problem.code.empty() && !problem.message.empty()) all += ": ";
    all += shown(problem.message);
  }
  return all;
}

bool has_error_code(const http::Response &response, std::string_view code) {
  return std::ranges::any_of(problems_in(parse(response)),
                             [code](const Problem &p) { return p.code == code; });
}

bool is_transient(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

std::int64_t retry_after(const http::Headers &headers) {
  const std::string value(headers.get("retry-after"));
  if (value.empty()) return 0;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc::result_out_of_range) return kMaxRetryAfter;
  if (error != std::errc() || end != value.data() + value.size()) {
    const std::optional<std::int64_t> date = http::parse_date(value);
    if (!date) return 0;
    seconds = *date - std::time(nullptr);
  }
  return std::clamp<std::int64_t>(seconds, 0, kMaxRetryAfter / 1000) * 1000;
}

void throw_status(const http::Response &response, const std::string &what) {
  const int status = response.status;
  std::string message = fmt::format("{}: {}{}", what, status, explain(response));
  // nginx asks for a client certificate in the handshake, and complains in an answer.
  if (status == 400 && (response.body.find("No required SSL certificate was sent") != std::string::npos ||
                        response.body.find("The SSL certificate error") != std::string::npos))
    throw sdk::Error(PIPE_E_DENIED, std::move(message),
                     "it wants a client certificate: name one with client_cert and client_key, or put it "
                     "into Docker's certs.d, signed by a CA that this server trusts");
  if (status == 401 || status == 403)
    throw sdk::Error(PIPE_E_DENIED, std::move(message), "log in with an account that may do this");
  if (status == 404) throw sdk::Error(PIPE_E_NOT_FOUND, std::move(message), "check the name");
  if (status == 429) {
    const std::int64_t wait = retry_after(response.headers);
    if (wait > 0) message += fmt::format(" (it wants to be left alone for {} s)", (wait + 999) / 1000);
    throw sdk::Error(PIPE_E_TRANSIENT, std::move(message), "it wants fewer requests: log in, or try later",
                     wait);
  }
  if (is_transient(status) || status >= 500)
    throw sdk::Error(PIPE_E_TRANSIENT, std::move(message), "the registry has trouble of its own; see its log",
                     retry_after(response.headers));
  if (status == 405)
    throw sdk::Error(PIPE_E_DENIED, std::move(message),
                     "the registry takes no changes: it is read-only, or a mirror");
  if (status == 413)
    throw sdk::Error(
        PIPE_E_INVALID, std::move(message),
        "a proxy before the registry limits the size of a request (nginx: client_max_body_size)");
  throw sdk::Error(PIPE_E_INVALID, std::move(message),
                   is_web_page(response) ? "is this the address of a registry?" : std::string());
}

}  // namespace pipes::oci
