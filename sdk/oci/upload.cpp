#include "upload.hpp"

#include <fmt/core.h>

#include <chrono>
#include <mutex>
#include <utility>

#include "registry_error.hpp"

namespace pipes::oci {
namespace {

constexpr std::chrono::minutes kStoring{10};      // some registries copy a blob before they say 201
constexpr std::uint64_t kWorthAsking = 1u << 20;  // less is sent again at once
constexpr std::uint64_t kLarge = 16u << 20;       // worth a note for a later run

/// How many bytes came through, as `Range: 0-99` says. Distribution says 0-0 of an upload without any.
std::optional<std::uint64_t> bytes_there(const http::Headers &headers) {
  std::string_view range = headers.get("range");
  if (range.starts_with("bytes=")) range.remove_prefix(6);
  if (!range.starts_with("0-")) return std::nullopt;
  const std::optional<std::uint64_t> last = parse_number(range.substr(2));
  if (!last) return std::nullopt;
  return *last == 0 ? 0 : *last + 1;
}

}  // namespace

http::Response start_upload(Registry::State &state, const std::string &repository, const Digest &digest,
                            const std::string &mount_from) {
  Call call{.what = fmt::format("can't push {}", state.named(repository, digest)),
            .method = "POST",
            .path = "/v2/" + repository + "/blobs/uploads/",
            .access = state.access(repository, true)};
  if (!mount_from.empty()) {
    call.path += fmt::format("?mount={}&from={}", http::encode_component(digest.str()),
                             http::encode_component(mount_from));
    call.access.also_pull = mount_from;
  }
  http::Response response = state.session.send_once(call);
  if (response.status != 202 && response.status != 201) throw_status(response, call.what);
  return response;
}

std::string upload_location(const Registry::State &state, const std::string &repository, const Digest &digest,
                            const http::Response &response) {
  const std::string_view location = response.headers.get("location");
  const std::string &host = state.session.host();
  if (location.empty())
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("{} does not say where to send {}", host, state.named(repository, digest)),
                     fmt::format("it answered {} without a Location; is it a registry?", response.status));
  std::string url = http::resolve_url(response.url, location);
  const http::Origin here = http::Origin::of(response.url), there = http::Origin::of(url);
  if (here.scheme == "https" && there.scheme == "http")
    throw sdk::Error(
        PIPE_E_DENIED,
        fmt::format("{} was reached by https and wants the upload by plain http: {}", host,
                    http::display_url(url)),
        "a proxy before it has to send X-Forwarded-Proto, or the registry needs http.relativeurls = true");
  return url;
}

Upload::Upload(Registry &registry, Registry::State &state, const std::string &repository,
               const Descriptor &blob, const Registry::OpenBlob &open)
    : registry_(registry),
      state_(state),
      repository_(repository),
      blob_(blob),
      open_(open),
      note_(registry.host(), repository, blob.digest) {}

bool Upload::large() const {
  return blob_.size >= kLarge;
}

bool Upload::run(const std::string &mount_from) {
  const bool again = tries_++ > 0;
  // Everything may have come through but the answer.
  if (again && registry_.has_blob(repository_, blob_)) {
    note_.drop();
    return false;
  }
  if (!again && large()) location_ = note_.read();
  if (!location_.empty() && blob_.size >= kWorthAsking) {
    if (const std::optional<std::uint64_t> there = ask_how_far()) {
      send(*there);
      return false;
    }
  }
  if (begin(again ? std::string() : mount_from)) return true;
  send(0);
  return false;
}

/// A mount that is refused is no reason not to send: who may push here may not be let in there.
http::Response Upload::post(const std::string &mount_from) {
  const std::pair way(repository_, mount_from);
  const auto is_open = [&] {
    const std::lock_guard lock(state_.mutex);
    return !mount_from.empty() && !state_.without_mounts.contains(way);
  };
  if (is_open()) {
    try {
      return start_upload(state_, repository_, blob_.digest, mount_from);
    } catch (const sdk::Error &error) {
      if (error.status != PIPE_E_DENIED && error.status != PIPE_E_NOT_FOUND && error.status != PIPE_E_INVALID)
        throw;
      state_.session.observer().log(sdk::Level::debug,
                                    fmt::format("nothing is mounted from {}: {}", mount_from, error.message));
      const std::lock_guard lock(state_.mutex);
      state_.without_mounts.insert(way);
    }
  }
  return start_upload(state_, repository_, blob_.digest, {});
}

bool Upload::begin(const std::string &mount_from) {
  location_.clear();
  const http::Response started = post(mount_from);
  if (started.status == 201) return true;
  location_ = upload_location(state_, repository_, blob_.digest, started);
  if (large()) note_.write(location_);
  return false;
}

std::optional<std::uint64_t> Upload::ask_how_far() {
  try {
    const http::Response response = state_.session.send_once(call("GET", location_));
    if (response.status != 204 && response.status != 202) return std::nullopt;
    const std::optional<std::uint64_t> there = bytes_there(response.headers);
    if (!there || *there == 0 || *there > blob_.size) return std::nullopt;
    if (!response.headers.get("location").empty())
      location_ = upload_location(state_, repository_, blob_.digest, response);
    state_.session.observer().log(sdk::Level::info,
                                  fmt::format("{} has {} of {} bytes of {} already", registry_.host(), *there,
                                              blob_.size, blob_.digest.brief()));
    return there;
  } catch (const sdk::Error &error) {
    if (error.status == PIPE_E_CANCELLED) throw;
    return std::nullopt;  // the upload is gone, or the registry does not say
  }
}

Call Upload::call(std::string method, std::string url) const {
  return {.what = "can't push " + state_.named(repository_, blob_.digest),
          .method = std::move(method),
          .url = std::move(url),
          .access = state_.access(repository_, true),
          .no_progress = kStoring};
}

void Upload::send(std::uint64_t offset) {
  try {
    const bool last = offset == 0;  // the whole at once
    if (offset < blob_.size || last) put(location_, offset, last);
    if (!last) put(location_, blob_.size, true);
  } catch (const sdk::Error &error) {
    if (offset == 0 || error.status == PIPE_E_CANCELLED || error.status == PIPE_E_TRANSIENT) throw;
    // What was there is not what we took it for: once more, from the start.
    location_.clear();
    note_.drop();
    throw sdk::Error(PIPE_E_TRANSIENT, error.message, error.hint);
  }
  note_.drop();
}

void Upload::put(const std::string &url, std::uint64_t offset, bool last) {
  Call request = call(last ? "PUT" : "PATCH", url);
  if (last) {
    request.url += (url.find('?') == std::string::npos ? '?' : '&');
    request.url += "digest=" + http::encode_component(blob_.digest.str());
  } else {
    request.headers.emplace_back("Content-Range", fmt::format("{}-{}", offset, blob_.size - 1));
  }
  request.headers.emplace_back("Content-Type", "application/octet-stream");
  if (offset < blob_.size || offset == 0) {
    Pace &pace = state_.session.pace();
    const sdk::Observer &observer = state_.session.observer();
    request.open = [&, offset] {
      return [source = open_(offset), &pace, &observer](char *data, std::size_t size) {
        const std::size_t count = source(data, size);
        pace.spend(count, observer);
        return count;
      };
    };
    request.body_size = blob_.size - offset;
  }
  finish(state_.session.send_once(request), request);
}

void Upload::finish(const http::Response &response, const Call &request) {
  // The session is gone (a restart, another replica): a new one may do.
  if (response.status == 404 || response.status == 416) {
    location_.clear();
    note_.drop();
    throw sdk::Error(PIPE_E_TRANSIENT,
                     fmt::format("{}: {}{}", request.what, response.status, explain(response)),
                     "do all replicas of the registry have the same http secret and storage?");
  }
  // Damaged on its way, most likely; what is damaged here is so again.
  if (response.status == 400 && has_error_code(response, "DIGEST_INVALID") && tries_ == 1) {
    location_.clear();
    note_.drop();
    throw sdk::Error(PIPE_E_TRANSIENT, fmt::format("{}: 400{}", request.what, explain(response)));
  }
  if (response.status < 200 || response.status > 299) throw_status(response, request.what);
  if (request.method == "PATCH") {
    location_ = upload_location(state_, repository_, blob_.digest, response);
    return;
  }
  const std::string_view there = response.headers.get("docker-content-digest");
  if (there.empty() || there == blob_.digest.str()) return;
  // Distribution checks a sha512, then names the blob by its sha256, and knows it by both.
  const std::optional<Digest> name = Digest::try_parse(there);
  const bool by_another = name && name->algorithm() != blob_.digest.algorithm();
  if (!by_another || !registry_.has_blob(repository_, blob_))
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("{} was stored as {}", state_.named(repository_, blob_.digest), there),
                     "the registry, or a proxy before it, changes what it is given");
}

}  // namespace pipes::oci
