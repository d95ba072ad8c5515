#include <pipe/error.hpp>
#include <pipe/oci/reference.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

namespace pipes::oci {
namespace {

constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr std::size_t kMaxName = 255;  // host and repository: distribution-spec, "Pulling manifests"
constexpr std::size_t kMaxTag = 128;
constexpr std::size_t kMaxShown = 200;  // of a bad name in a message

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alnum(char c) {
  return is_lower(c) || is_upper(c) || is_digit(c);
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

[[noreturn]] void bad(std::string_view name, const std::string &why, std::string hint = {}) {
  if (hint.empty()) hint = "a name is [host[:port]/]repository[:tag][@digest], such as registry:3";
  throw sdk::Error(PIPE_E_INVALID, fmt::format("bad image name \"{}\": {}", name.substr(0, kMaxShown), why),
                   std::move(hint));
}

/// The first component of a name is a host only if it could not be a Docker Hub user.
bool looks_like_host(std::string_view component) {
  return component.find_first_of(".:") != std::string_view::npos || component == "localhost";
}

/// What is wrong with a host[:port]; empty if nothing.
std::string host_problem(std::string_view host) {
  std::string_view name = host;
  std::string_view port;
  if (host.starts_with('[')) {  // an IPv6 address
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return "the ']' of the IPv6 address is missing";
    const std::string_view address = host.substr(1, end - 1);
    if (address.empty() ||
        !std::ranges::all_of(address, [](char c) { return is_hex(c) || c == ':' || c == '.'; }))
      return fmt::format("\"{}\" is no IPv6 address", address);
    const std::string_view rest = host.substr(end + 1);
    if (rest.empty()) return {};
    if (rest[0] != ':') return "only a port may follow the IPv6 address";
    name = {};
    port = rest.substr(1);
  } else if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    name = host.substr(0, colon);
    port = host.substr(colon + 1);
  } else {
    port = "0";
  }
  if (port.empty() || port.size() > 5 || !std::ranges::all_of(port, is_digit) ||
      std::stoi(std::string(port)) > 65535)
    return fmt::format("\"{}\" is no port", port);
  if (host.starts_with('[')) return {};
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t dot = std::min(name.find('.', start), name.size());
    const std::string_view label = name.substr(start, dot - start);
    if (label.empty() || label.front() == '-' || label.back() == '-' ||
        !std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-'; }))
      return fmt::format("\"{}\" is no host name", name);
    start = dot + 1;
  }
  return {};
}

/// What is wrong with one component of a repository; empty if nothing. Letters and digits, separated
/// by one of `.`, `_`, `__` or any number of `-`.
std::string component_problem(std::string_view component) {
  if (component.empty()) return "a part of the repository is empty";
  if (std::ranges::any_of(component, is_upper))
    return fmt::format("\"{}\" has upper case letters, which a repository may not have", component);
  const auto is_word = [](char c) { return is_lower(c) || is_digit(c); };
  for (const char c : component)
    if (!is_word(c) && c != '.' && c != '_' && c != '-')
      return fmt::format("\"{}\" has a character that a repository may not have: '{}'", component, c);
  if (!is_word(component.front()) || !is_word(component.back()))
    return fmt::format("\"{}\" has to begin and end with a letter or a digit", component);
  for (std::size_t i = 0; i < component.size();) {
    const std::size_t end =
        std::min(component.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789", i), component.size());
    const std::string_view separator = component.substr(i, end - i);
    const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (separator.size() > 1 && !dashes && separator != "__")
      return fmt::format("\"{}\" has \"{}\" where one '.', '_', '__' or dashes may stand", component,
                         separator);
    i = end + 1;
  }
  return {};
}

std::string repository_problem(std::string_view repository) {
  for (std::size_t start = 0; start <= repository.size();) {
    const std::size_t slash = std::min(repository.find('/', start), repository.size());
    std::string what = component_problem(repository.substr(start, slash - start));
    if (!what.empty()) return what;
    start = slash + 1;
  }
  return {};
}

std::string tag_problem(std::string_view tag) {
  if (tag.empty()) return "there is no tag after the ':'";
  if (tag.size() > kMaxTag) return fmt::format("the tag is longer than {} characters", kMaxTag);
  const auto is_word = [](char c) { return is_alnum(c) || c == '_'; };
  if (!is_word(tag.front()) ||
      !std::ranges::all_of(tag, [&](char c) { return is_word(c) || c == '.' || c == '-'; }))
    return fmt::format("\"{}\" is no tag (letters, digits, '_', '.' and '-', not beginning with '.' or '-')",
                       tag);
  return {};
}

constexpr std::array kTransports{
    std::pair{std::string_view("oci:"), ImageName::Kind::oci_layout},
    std::pair{std::string_view("oci-archive:"), ImageName::Kind::oci_archive},
    std::pair{std::string_view("docker-archive:"), ImageName::Kind::docker_archive}};
constexpr std::string_view kDaemon = "docker-daemon:";
constexpr std::string_view kDocker = "docker://";
constexpr std::string_view kKinds =
    "a name is registry:3, host:5000/app:1, oci:FOLDER[:NAME], oci-archive:FILE, docker-archive:FILE or "
    "docker-daemon:NAME";

}  // namespace

Reference Reference::parse(std::string_view text) {
  if (text.empty()) bad(text, "it is empty");
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos)
    bad(text, fmt::format("a name has no \"{}\"", text.substr(0, scheme + 3)),
        fmt::format("write {}", text.substr(scheme + 3, kMaxShown)));
  if (text.size() == 64 && std::ranges::all_of(text, [](char c) { return is_hex(c) && !is_upper(c); }))
    bad(text, "64 hex digits are an image ID, not a name", "write sha256: in front, after a name and '@'");

  Reference result;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    try {
      result.digest = Digest::parse(rest.substr(at + 1));
    } catch (const sdk::Error &error) {
      bad(text, error.message, error.hint);
    }
    rest = rest.substr(0, at);
  }
  const std::size_t first_slash = rest.find('/');
  if (first_slash != std::string_view::npos && looks_like_host(rest.substr(0, first_slash))) {
    result.registry = rest.substr(0, first_slash);
    rest = rest.substr(first_slash + 1);
    if (const std::string what = host_problem(result.registry); !what.empty()) bad(text, what);
  } else {
    result.registry = kDockerHub;
  }
  if (result.registry == "index.docker.io") result.registry = kDockerHub;

  // A colon left over is the tag's: the host, which may have a port, is gone.
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    result.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (const std::string what = tag_problem(result.tag); !what.empty()) bad(text, what);
  } else if (!result.digest) {
    result.tag = "latest";
  }
  if (const std::string what = repository_problem(rest); !what.empty()) bad(text, what);
  result.repository = rest;
  if (result.registry == kDockerHub && rest.find('/') == std::string_view::npos)
    result.repository.insert(0, kOfficial);
  if (result.name().size() > kMaxName)
    bad(text, fmt::format("host and repository are longer than {} characters", kMaxName));
  return result;
}

std::string Reference::str() const {
  std::string text = name();
  if (!tag.empty()) text += ':' + tag;
  if (digest) text += '@' + digest->str();
  return text;
}

std::string Reference::familiar() const {
  std::string text = str();
  if (registry != kDockerHub) return text;
  const std::size_t slash = repository.find('/');
  // docker.io/localhost/app has to keep its host: localhost/app is another image.
  if (looks_like_host(std::string_view(repository).substr(0, slash))) return text;
  text.erase(0, kDockerHub.size() + 1);
  if (repository.starts_with(kOfficial) && repository.find('/', kOfficial.size()) == std::string::npos)
    text.erase(0, kOfficial.size());
  return text;
}

ImageName ImageName::parse(std::string_view text) {
  ImageName name;
  for (const auto &[prefix, kind] : kTransports) {
    if (!text.starts_with(prefix)) continue;
    const std::string_view rest = text.substr(prefix.size());
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    name.kind = kind;
    name.path = rest.substr(0, colon);
    if (colon < rest.size()) name.ref = rest.substr(colon + 1);
    if (name.path.empty())
      bad(text, fmt::format("there is no path after \"{}\"", prefix), std::string(kKinds));
    if (colon < rest.size() && name.ref.empty())
      bad(text, "there is no name after the last ':'", std::string(kKinds));
    return name;
  }
  if (text.starts_with(kDaemon)) {
    name.kind = Kind::docker_daemon;
    name.reference = Reference::parse(text.substr(kDaemon.size()));
    return name;
  }
  name.reference = Reference::parse(text.starts_with(kDocker) ? text.substr(kDocker.size()) : text);
  return name;
}

std::string ImageName::str() const {
  if (kind == Kind::registry) return reference.str();
  if (kind == Kind::docker_daemon) return std::string(kDaemon) + reference.str();
  for (const auto &[prefix, of] : kTransports)
    if (of == kind) return std::string(prefix) + path + (ref.empty() ? "" : ":" + ref);
  return {};
}

}  // namespace pipes::oci
