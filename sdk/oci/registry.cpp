#include <pipe/oci/registry.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "json.hpp"
#include "registry_error.hpp"
#include "registry_state.hpp"

namespace pipes::oci {
namespace {

constexpr int kMaxPuts = 3;

/// Distribution 2 empties a manifest's link before it writes it again. Whoever puts an index at that moment
/// is told that a child, which has long been there, has no digest and is unknown.
bool is_torn(const http::Response &response) {
  return response.status == 400 && response.body.find("DIGEST_INVALID") != std::string::npos &&
         response.body.find("MANIFEST_BLOB_UNKNOWN") != std::string::npos;
}

const std::string &accept_manifests() {
  static const std::string all =
      fmt::format("{}, {}, {}, {}", kOciIndex, kOciManifest, kDockerList, kDockerManifest);
  return all;
}

bool is_manifest_type(std::string_view type) {
  return type == kOciIndex || type == kOciManifest || type == kDockerList || type == kDockerManifest;
}

std::string_view media_type(const http::Headers &headers) {
  const std::string_view type = headers.get("content-type");
  return type.substr(0, type.find_first_of("; "));
}

std::string manifest_path(const std::string &repository, const std::string &reference) {
  return "/v2/" + repository + "/manifests/" + reference;
}

std::string printable(std::string_view text, std::size_t max) {
  std::string result(text.substr(0, max));
  std::ranges::replace_if(
      result, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return result;
}

}  // namespace

Registry::Registry(std::string host, RegistryOptions options, sdk::Observer &observer)
    : state_(std::make_unique<State>(std::move(host), std::move(options), observer)) {}
Registry::~Registry() = default;

const std::string &Registry::host() const {
  return state_->session.host();
}
std::string Registry::origin() {
  return state_->session.origin();
}

std::shared_ptr<void> Registry::enter() {
  return std::make_shared<Turn>(state_->session.pace(), state_->session.observer());
}
Traffic Registry::traffic() const {
  return state_->session.traffic();
}

void Registry::expect_push(const std::string &repository) {
  const std::lock_guard lock(state_->mutex);
  state_->written.insert(repository);
}

Registry::Ping Registry::ping() {
  const http::Response response = state_->session.ping();
  return {.status = response.status,
          .challenge = std::string(response.headers.get("www-authenticate")),
          .api_version = std::string(response.headers.get("docker-distribution-api-version")),
          .body_start = printable(response.body, 200)};
}

std::optional<Descriptor> Registry::head_manifest(const std::string &repository,
                                                  const std::string &reference) {
  const Call call{.what = "can't read " + state_->named(repository, reference),
                  .method = "HEAD",
                  .path = manifest_path(repository, reference),
                  .access = state_->access(repository, false),
                  .headers = {{"Accept", accept_manifests()}}};
  const http::Response response = state_->session.send(call);
  if (response.status == 404) return std::nullopt;
  const std::optional<Digest> digest = Digest::try_parse(response.headers.get("docker-content-digest"));
  const std::optional<std::uint64_t> size = parse_number(response.headers.get("content-length"));
  const std::string_view type = media_type(response.headers);
  if (response.status == 200 && digest && size && is_manifest_type(type)) {
    if (Digest::try_parse(reference) && *digest != *Digest::try_parse(reference))
      throw sdk::Error(
          PIPE_E_MISMATCH,
          fmt::format("{} is answered with {}", state_->named(repository, reference), digest->str()),
          "the registry, or a proxy before it, is broken");
    return Descriptor{.media_type = std::string(type), .digest = *digest, .size = *size};
  }
  if (response.status != 200 && response.status != 405 && response.status != 400)
    throw_status(response, call.what);
  try {  // old registries leave the digest out, some proxies refuse HEAD
    return manifest(repository, reference).descriptor();
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_NOT_FOUND) return std::nullopt;
    throw;
  }
}

Manifest Registry::manifest(const std::string &repository, const std::string &reference) {
  try {
    return state_->read_manifest(repository, reference);
  } catch (const sdk::Error &error) {
    // Damage on the way happens once; damage in the registry's storage comes again.
    if (error.status != PIPE_E_MISMATCH) throw;
    state_->session.observer().log(sdk::Level::warning, error.message + "; once more");
    return state_->read_manifest(repository, reference);
  }
}

Manifest Registry::State::read_manifest(const std::string &repository, const std::string &reference) {
  const std::string name = named(repository, reference);
  const Call call{.what = "can't read " + name,
                  .path = manifest_path(repository, reference),
                  .access = access(repository, false),
                  .headers = {{"Accept", accept_manifests()}},
                  .max_body = kMaxManifestSize};
  http::Response response = session.send(call);
  if (response.status == 404)
    throw sdk::Error(PIPE_E_NOT_FOUND, fmt::format("{} does not exist{}", name, explain(response)),
                     "check repository and tag");
  if (response.status != 200) throw_status(response, call.what);
  const std::string_view type = media_type(response.headers);
  if (type == "text/html")
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("{} answers with a web page where a manifest was asked for", session.host()),
                     "is this the address of a registry, or of its user interface?");
  std::optional<Digest> expected = Digest::try_parse(reference);
  if (!expected) expected = Digest::try_parse(response.headers.get("docker-content-digest"));
  try {
    return parse_manifest(std::move(response.body), is_manifest_type(type) ? type : std::string_view(),
                          expected);
  } catch (const sdk::Error &error) {
    throw sdk::Error(error.status, fmt::format("{}: {}", name, error.message), error.hint);
  }
}

bool Registry::put_manifest(const std::string &repository, const std::string &reference,
                            const Manifest &manifest) {
  const std::string name = state_->named(repository, reference);
  const Call call{.what = "can't push " + name,
                  .method = "PUT",
                  .path = manifest_path(repository, reference),
                  .access = state_->access(repository, true),
                  .headers = {{"Content-Type", manifest.media_type}},
                  .body = manifest.bytes};
  const auto stored_as = [&](const http::Response &response) {
    const std::string_view there = response.headers.get("docker-content-digest");
    if (!there.empty() || response.status > 299) return std::string(there);
    const std::optional<Descriptor> found = head_manifest(repository, reference);
    return found ? found->digest.str() : "nothing";
  };
  http::Response response = state_->session.send(call);
  std::string there = stored_as(response);
  if (const std::optional<Digest> named = Digest::try_parse(there);
      named && named->algorithm() != manifest.digest.algorithm())
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("{} was sent as {}, and the registry calls it {}", name, manifest.digest.str(), there),
        fmt::format("this registry names images by {} alone: there it would be known by another "
                    "digest",
                    named->algorithm()));
  // What was damaged on its way must not stay under the tag.
  for (int tries = 1; tries < kMaxPuts; ++tries) {
    const bool torn = is_torn(response);
    if (!torn && (response.status >= 300 || there == manifest.digest.str())) break;
    if (torn) std::this_thread::sleep_for(std::chrono::milliseconds(100) * tries);
    response = state_->session.send(call);
    there = stored_as(response);
  }
  if (response.status == 404)
    throw sdk::Error(PIPE_E_NOT_FOUND, call.what + ": 404" + explain(response),
                     "does the registry want the repository to be made first?");
  if (response.status < 200 || response.status > 299) throw_status(response, call.what);
  if (there != manifest.digest.str())
    throw sdk::Error(
        PIPE_E_MISMATCH,
        fmt::format("{} was sent as {}, and the registry has {}", name, manifest.digest.str(), there),
        "the registry, or a proxy before it, changes what it is given");
  return !response.headers.get("oci-subject").empty();
}

void Registry::delete_manifest(const std::string &repository, const std::string &reference) {
  const std::string name = state_->named(repository, reference);
  const Call call{.what = "can't delete " + name,
                  .method = "DELETE",
                  .path = manifest_path(repository, reference),
                  .access = state_->access(repository, true)};
  const http::Response response = state_->session.send(call);
  if (response.status >= 200 && response.status < 300) return;
  if (response.status == 404) throw sdk::Error(PIPE_E_NOT_FOUND, name + " does not exist");
  // In maintenance, Distribution says 405 too, and gives no code.
  if (has_error_code(response, "UNSUPPORTED"))
    throw sdk::Error(
        PIPE_E_DENIED, call.what + ": deletion is off at this registry",
        "where it is your own: REGISTRY_STORAGE_DELETE_ENABLED=true, or storage.delete.enabled in "
        "its configuration");
  if (response.status == 400 && has_error_code(response, "DIGEST_INVALID"))
    throw sdk::Error(PIPE_E_DENIED, call.what + ": this registry can't delete a tag alone",
                     "delete by digest");
  throw_status(response, call.what);
}

std::optional<Manifest> Registry::referrers(const std::string &repository, const Digest &subject) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->without_referrers.contains(repository)) return std::nullopt;
  }
  const Call call{.what = "can't list what refers to " + state_->named(repository, subject.str()),
                  .path = "/v2/" + repository + "/referrers/" + subject.str(),
                  .access = state_->access(repository, false),
                  .headers = {{"Accept", std::string(kOciIndex)}},
                  .max_body = kMaxManifestSize};
  http::Response response = state_->session.send(call);
  // Registries without it say 404, or what they say of any path that they do not know.
  if (response.status != 200 || media_type(response.headers) != kOciIndex) {
    const std::lock_guard lock(state_->mutex);
    state_->without_referrers.insert(repository);
    return std::nullopt;
  }
  return parse_manifest(std::move(response.body), kOciIndex);
}

}  // namespace pipes::oci
