#include "auth.hpp"

#include <fmt/core.h>
#include <pipe/oci/base64.hpp>

#include <algorithm>
#include <cstdlib>

#include "json.hpp"
#include "no_progress.hpp"
#include "registry_error.hpp"

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxTokenAnswer = 256u << 10;
constexpr std::int64_t kDefaultLifetime = 60;  // token.md

/// The domain a host belongs to: what follows its first label, if that is more than a public suffix
/// such as "com" or "co.uk". Empty: none that proves anything.
std::string_view domain_of(std::string_view host) {
  const std::size_t dot = host.find('.');
  if (dot == std::string_view::npos || host.find_first_not_of("0123456789.") == std::string_view::npos)
    return {};
  const std::string_view parent = host.substr(dot + 1);
  const std::size_t last = parent.rfind('.');
  if (last == std::string_view::npos) return {};
  const bool country = parent.size() - last - 1 == 2;
  const bool short_second = last <= 3 && parent.find('.') == last;
  return country && short_second ? std::string_view() : parent;
}

bool is_named_token_server(const http::Origin &realm) {
  const char *list = std::getenv("PIPE_TOKEN_SERVERS");
  std::string_view rest = list == nullptr ? std::string_view() : std::string_view(list);
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    if (entry == realm.host || entry == fmt::format("{}:{}", realm.host, realm.port)) return true;
  }
  return false;
}

std::string percent_form(const std::vector<std::pair<std::string, std::string>> &fields) {
  std::string form;
  for (const auto &[name, value] : fields) {
    if (!form.empty()) form += '&';
    form += name + '=' + http::encode_component(value);
  }
  return form;
}

std::string joined(const std::vector<std::string> &parts, char separator) {
  std::string all;
  for (const std::string &part : parts) {
    if (!all.empty()) all += separator;
    all += part;
  }
  return all;
}

std::string login_hint(const std::string &registry) {
  return fmt::format("log in first: podman login {0} (or: docker login {0})", registry);
}

}  // namespace

std::vector<std::string> Access::scopes() const {
  std::vector<std::string> scopes;
  if (!repository.empty())
    scopes.push_back(fmt::format("repository:{}:{}", repository, push ? "pull,push" : "pull"));
  if (!also_pull.empty()) scopes.push_back(fmt::format("repository:{}:pull", also_pull));
  if (catalog) scopes.emplace_back("registry:catalog:*");
  return scopes;
}

bool may_send_credentials(const http::Origin &registry, const http::Origin &realm) {
  // Unencrypted only where the registry itself is.
  if (realm.scheme == "http" && registry.scheme != "http") return false;
  if (realm.host == registry.host || (realm.loopback() && registry.loopback())) return true;
  if (is_named_token_server(realm)) return true;
  if (realm.scheme != "https") return false;
  if (registry.host == "registry-1.docker.io" && realm.host == "auth.docker.io") return true;
  const std::string_view domain = domain_of(registry.host);
  return !domain.empty() && (realm.host == domain || realm.host.ends_with("." + std::string(domain)));
}

Authorizer::Authorizer(std::string registry, Credentials given, const sdk::Observer &observer)
    : registry_(std::move(registry)), given_(std::move(given)), observer_(observer) {}

const Credentials &Authorizer::credentials(const Access &access) {
  if (!given_.empty()) return given_;
  const auto found = credentials_.find(access.repository);
  if (found != credentials_.end()) return found->second;
  return credentials_.emplace(access.repository, find_credentials(registry_, access.repository, observer_))
      .first->second;
}

std::string Authorizer::header(const Access &access, http::Client &client) {
  const std::lock_guard lock(mutex_);
  if (basic_) return basic_header(access);
  return server_ ? token_header(access, {}, client) : std::string();
}

std::string Authorizer::answer(const http::Response &response, const Access &access,
                               const std::string &refused, http::Client &client) {
  const std::lock_guard lock(mutex_);
  std::string offered;
  for (const std::string_view header : response.headers.all("www-authenticate"))
    for (const Challenge &challenge : parse_challenges(header)) {
      if (challenge.scheme == "bearer" && !challenge.get("realm").empty()) {
        server_ = Server{.realm = challenge.get("realm"),
                         .service = challenge.get("service"),
                         .registry = http::Origin::of(response.url),
                         .zone = response.zone};
        basic_ = false;
        return token_header(access, refused, client);
      }
      if (challenge.scheme == "basic") basic_ = true;
      offered += (offered.empty() ? "" : ", ") + challenge.scheme;
    }
  if (basic_) {
    std::string header = basic_header(access);
    if (header.empty() || header == refused) refuse(access);
    return header;
  }
  if (offered.empty())
    throw sdk::Error(PIPE_E_INVALID, registry_ + " answers 401 without saying how to log in",
                     "it may be no registry, or a proxy before it drops the header WWW-Authenticate");
  throw sdk::Error(PIPE_E_DENIED, fmt::format("{} asks for a login of a kind that pipe does not speak: {}",
                                              registry_, offered));
}

void Authorizer::deny(const Access &access) {
  const std::lock_guard lock(mutex_);
  refuse(access);
}

void Authorizer::refuse(const Access &access) {
  const Credentials &known = credentials(access);
  const std::string what = access.repository.empty() ? registry_ : registry_ + "/" + access.repository;
  if (!known.empty())
    throw sdk::Error(PIPE_E_DENIED,
                     fmt::format("{} refuses to let the login from {} {} {}", registry_, known.source,
                                 access.push ? "push to" : "read", what),
                     "log in again, or with an account that may");
  if (!known.problem.empty())
    throw sdk::Error(PIPE_E_DENIED,
                     fmt::format("{} wants a login, and none could be read: {}", what, known.problem),
                     "install the helper or correct the file, or log in again");
  throw sdk::Error(PIPE_E_DENIED, fmt::format("{} wants a login", what), login_hint(registry_));
}

std::string Authorizer::basic_header(const Access &access) {
  const Credentials &known = credentials(access);
  if (known.username.empty()) return {};
  return "Basic " + encode_base64(known.username + ":" + known.password);
}

std::string Authorizer::token_header(const Access &access, const std::string &refused, http::Client &client) {
  const auto usable = [&](const std::vector<std::string> &scopes) -> std::string {
    const auto found = tokens_.find(server_->realm + " " + server_->service + " " + joined(scopes, ' '));
    if (found == tokens_.end() || found->second.end <= Clock::now()) return {};
    std::string header = "Bearer " + found->second.value;
    if (header != refused) return header;
    tokens_.erase(found);
    return {};
  };
  if (const Credentials &known = credentials(access); !known.registry_token.empty())
    return "Bearer " + known.registry_token;
  const std::vector<std::string> scopes = access.scopes();
  if (std::string header = usable(scopes); !header.empty()) return header;
  // A token that may push may read as well.
  if (!access.push && !access.repository.empty())
    if (std::string header =
            usable(Access{.repository = access.repository, .push = true, .also_pull = {}}.scopes());
        !header.empty())
      return header;
  Token token = fetch_token(scopes, access, client);
  std::string header = "Bearer " + token.value;
  tokens_.insert_or_assign(server_->realm + " " + server_->service + " " + joined(scopes, ' '),
                           std::move(token));
  return header;
}

http::Request Authorizer::token_request(const std::vector<std::string> &scopes,
                                        const Credentials &known) const {
  http::Request request;
  request.url = server_->realm;
  request.sent_by = server_->zone;
  request.max_body = kMaxTokenAnswer;
  request.no_progress = no_progress_limit(request.no_progress);
  if (!known.identity_token.empty()) {
    request.method = "POST";
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.body = percent_form({{"grant_type", "refresh_token"},
                                 {"service", server_->service},
                                 {"client_id", "pipe"},
                                 {"scope", joined(scopes, ' ')},
                                 {"refresh_token", known.identity_token}});
    return request;
  }
  std::vector<std::pair<std::string, std::string>> query;
  if (!server_->service.empty()) query.emplace_back("service", server_->service);
  for (const std::string &scope : scopes) query.emplace_back("scope", scope);
  request.url += (request.url.find('?') == std::string::npos ? '?' : '&') + percent_form(query);
  if (!known.username.empty())
    request.authorization = "Basic " + encode_base64(known.username + ":" + known.password);
  return request;
}

Authorizer::Token Authorizer::fetch_token(const std::vector<std::string> &scopes, const Access &access,
                                          http::Client &client) {
  const Credentials &known = credentials(access);
  const http::Origin realm = http::Origin::of(server_->realm);
  if (server_->registry.scheme == "https" && realm.scheme == "http")
    throw sdk::Error(PIPE_E_DENIED,
                     fmt::format("{} names a token server without encryption: {}", registry_,
                                 http::display_url(server_->realm)),
                     "a registry that is reached by https needs one that is, too");
  if (!known.empty() && !may_send_credentials(server_->registry, realm))
    throw sdk::Error(
        PIPE_E_DENIED,
        fmt::format("{} wants its login to be sent to {}, which is not its own", registry_, realm.str()),
        fmt::format("if that is its token server, say so: PIPE_TOKEN_SERVERS={}", realm.host));
  const http::Response response = client.send(token_request(scopes, known));
  if (response.status == 401 || response.status == 403) {
    if (!known.empty())
      throw sdk::Error(PIPE_E_DENIED,
                       fmt::format("the token server {} refuses the login from {}{}", realm.str(),
                                   known.source, explain(response)),
                       "log in again");
    refuse(access);
  }
  if (response.status != 200)
    throw_status(response, fmt::format("no token for {} from {}", registry_, realm.str()));
  const Json json = Json::parse(response.body, nullptr, false);
  const auto text = [&](const char *key) {
    return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>()
                                                                           : std::string();
  };
  Token token{.value = text("token"), .end = Clock::now()};
  if (token.value.empty()) token.value = text("access_token");
  if (token.value.empty())
    throw sdk::Error(PIPE_E_INVALID, fmt::format("the token server {} answers without a token", realm.str()),
                     "is it the right address?");
  std::int64_t lifetime = kDefaultLifetime;
  if (json.contains("expires_in") && json["expires_in"].is_number())
    lifetime = std::clamp<std::int64_t>(json["expires_in"].get<std::int64_t>(), 1, 24 * 3600);
  token.end +=
      std::chrono::seconds(lifetime) - std::min<Clock::duration>(10s, std::chrono::seconds(lifetime) / 4);
  return token;
}

}  // namespace pipes::oci
