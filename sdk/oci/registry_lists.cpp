// What a registry lists, page by page (distribution-spec, "Content Discovery"): tags, and repositories.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "json.hpp"
#include "registry_error.hpp"
#include "registry_state.hpp"

namespace pipes::oci {
namespace {

constexpr int kMaxPages = 1000;
constexpr int kPageSize = 1000;  // the most that Distribution gives at once; its default is 100

/// The target of `Link: <…>; rel="next"`, or empty.
std::string next_link(const http::Headers &headers) {
  for (const std::string_view link : headers.all("link")) {
    const std::size_t open = link.find('<'), close = link.find('>');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) continue;
    const std::string_view rest = link.substr(close);
    if (rest.find("rel=\"next\"") != std::string_view::npos ||
        rest.find("rel=next") != std::string_view::npos)
      return std::string(link.substr(open + 1, close - open - 1));
  }
  return {};
}

bool is_repository(const std::string &name) {
  try {
    const Reference reference = Reference::parse("localhost/" + name);
    return reference.repository == name && reference.tag == "latest";
  } catch (const sdk::Error &) {
    return false;
  }
}

bool is_tag(const std::string &name) {
  try {
    return Reference::parse("localhost/a:" + name).tag == name;
  } catch (const sdk::Error &) {
    return false;
  }
}

/// What a registry lists goes into paths of requests, and so to other places of another registry if it is
/// none of what it is said to be.
void leave_out(std::vector<std::string> &names, bool is_one(const std::string &), const std::string &lists,
               std::string_view of_what, sdk::Observer &observer) {
  std::erase_if(names, [&](const std::string &name) {
    if (is_one(name)) return false;
    observer.log(sdk::Level::warning, fmt::format("{} lists \"{}\", which is no name of a {}; it is left out",
                                                  lists, name, of_what));
    return true;
  });
}

}  // namespace

std::vector<std::string> Registry::State::read_list(Call call, const char *key) {
  std::vector<std::string> names;
  for (int page = 0; page < kMaxPages; ++page) {
    const http::Response response = session.send(call);
    if (response.status != 200) throw_status(response, call.what);
    const ParsedJson json = parse_json(response.body);
    if (!json.problem.empty() || !json.value.is_object())
      throw sdk::Error(PIPE_E_INVALID, fmt::format("{}: the answer is no list of {}", call.what, key),
                       "is this the address of a registry?");
    // Distribution 2 says null where there are none.
    if (const auto list = json.value.find(key); list != json.value.end() && list->is_array())
      for (const Json &name : *list)
        if (name.is_string()) names.push_back(name.get<std::string>());
    const std::string next = next_link(response.headers);
    if (next.empty()) return names;
    const std::string url = http::resolve_url(response.url, next);
    const std::string home = session.origin();
    if (http::Origin::of(url).str() != home)
      throw sdk::Error(PIPE_E_DENIED, fmt::format("{}: it goes on at another host, {}", call.what,
                                                  http::Origin::of(url).str()));
    call.path = url.substr(url.find('/', url.find("://") + 3));
  }
  throw sdk::Error(PIPE_E_INVALID, fmt::format("{}: more than {} pages", call.what, kMaxPages));
}

std::vector<std::string> Registry::tags(const std::string &repository) {
  const std::string whose = host() + "/" + repository;
  std::vector<std::string> names = state_->read_list({.what = fmt::format("can't list the tags of {}", whose),
                                                      .path = "/v2/" + repository + "/tags/list",
                                                      .access = state_->access(repository, false)},
                                                     "tags");
  leave_out(names, is_tag, whose, "tag", state_->session.observer());
  return names;
}

std::vector<std::string> Registry::repositories() {
  const Call call{.what = fmt::format("can't list the repositories of {}", host()),
                  .path = fmt::format("/v2/_catalog?n={}", kPageSize),
                  .access = {.catalog = true}};
  std::vector<std::string> names;
  try {
    names = state_->read_list(call, "repositories");
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_DENIED && error.status != PIPE_E_NOT_FOUND) throw;
    const bool said = error.message.starts_with(call.what);
    throw sdk::Error(error.status, said ? error.message : fmt::format("{}: {}", call.what, error.message),
                     "many registries have no catalog, or show it to their administrators only (Docker Hub "
                     "and ghcr.io have none): log in with an account that may see it, or name the "
                     "repositories");
  }
  leave_out(names, is_repository, host(), "repository", state_->session.observer());
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

}  // namespace pipes::oci
