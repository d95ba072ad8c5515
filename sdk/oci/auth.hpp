#pragma once
// Logging in at one registry: Basic, and bearer tokens (distribution, spec/auth/token.md and oauth.md).
// For .cpp files of this folder only.
#include <pipe/http/client.hpp>
#include <pipe/oci/auth_challenge.hpp>

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "credentials.hpp"

namespace pipes::oci {

/// What a request is about to do, in the words of a token's scope.
struct Access {
  std::string repository{};  // empty: the registry as such
  bool push = false;
  std::string also_pull{};  // another repository, to mount from
  bool catalog = false;     // which repositories there are
  /// "repository:app:pull,push", one an entry; "registry:catalog:*".
  std::vector<std::string> scopes() const;
};

/// True where credentials of `registry` may be sent to the token server `realm`: its own host, a
/// sibling in its domain, Docker Hub's own, or one that $PIPE_TOKEN_SERVERS (host[:port], commas) names.
bool may_send_credentials(const http::Origin &registry, const http::Origin &realm);

/// Decides what `Authorization` holds. Any thread; one at a time asks a token server, so that many
/// requests cost one token. Tokens are kept by (realm, service, scope) until shortly before their end.
class Authorizer {
 public:
  /// `given`, unless it is empty, is used in place of what is found for the registry.
  Authorizer(std::string registry, Credentials given, const sdk::Observer &);

  /// What to send along unasked; empty while the registry has asked for nothing.
  std::string header(const Access &, http::Client &);

  /// What a 401 asks for. `refused` is the header that was sent. Throws PIPE_E_DENIED where nothing
  /// better can be sent, with what to do.
  std::string answer(const http::Response &, const Access &, const std::string &refused, http::Client &);

  /// Ends with an error: what `answer` gave did not help.
  [[noreturn]] void deny(const Access &);

 private:
  struct Token {
    std::string value;
    std::chrono::steady_clock::time_point end;
  };
  struct Server {
    std::string realm, service;
    http::Origin registry;
    http::Zone zone = http::Zone::internet;
  };

  [[noreturn]] void refuse(const Access &);
  const Credentials &credentials(const Access &);
  std::string basic_header(const Access &);
  std::string token_header(const Access &, const std::string &refused, http::Client &);
  Token fetch_token(const std::vector<std::string> &scopes, const Access &, http::Client &);
  http::Request token_request(const std::vector<std::string> &scopes, const Credentials &) const;

  const std::string registry_;
  const Credentials given_;
  const sdk::Observer &observer_;
  std::mutex mutex_;
  std::map<std::string, Credentials> credentials_;  // by repository
  std::optional<Server> server_;                    // bearer
  bool basic_ = false;
  std::map<std::string, Token> tokens_;  // by realm, service and scopes
};

}  // namespace pipes::oci
