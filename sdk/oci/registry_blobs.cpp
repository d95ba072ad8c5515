// Blobs: looked for, fetched, mounted, uploaded (distribution-spec, "Pulling blobs", "Pushing blobs").
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "registry_error.hpp"
#include "registry_state.hpp"

namespace pipes::oci {
namespace {

constexpr std::uint64_t kGoodProgress = 1u
                                        << 20;  // a download that got so far starts counting its tries anew
constexpr std::chrono::minutes kStoring{10};    // some registries copy a blob before they say 201

std::string blob_path(const std::string &repository, const Digest &digest) {
  return "/v2/" + repository + "/blobs/" + digest.str();
}

/// The first byte of a 206, as its Content-Range says ("bytes 100-199/200").
std::optional<std::uint64_t> range_start(const http::Headers &headers) {
  std::string_view range = headers.get("content-range");
  if (!range.starts_with("bytes ")) return std::nullopt;
  range.remove_prefix(6);
  return parse_number(range.substr(0, range.find('-')));
}

/// Passes on one download's bytes, from where the last one broke off and not beyond the end.
class Download {
 public:
  Download(const Descriptor &blob, std::string name, const http::Sink &sink, std::uint64_t offset)
      : blob_(blob), name_(std::move(name)), sink_(sink), at_(offset) {}

  std::uint64_t at() const { return at_; }
  bool done() const { return at_ == blob_.size; }

  void start(const http::Response &response) {
    skip_ = at_;  // a 200 begins at the beginning, whatever was asked for
    if (response.status != 206) return;
    if (range_start(response.headers) != at_)
      throw sdk::Error(PIPE_E_MISMATCH,
                       fmt::format("{} was asked for from byte {}, and came as \"{}\"", name_, at_,
                                   response.headers.get("content-range")),
                       "the registry, or a proxy before it, is broken");
    skip_ = 0;
  }
  void take(const char *data, std::size_t size) {
    const auto drop = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, size));
    skip_ -= drop;
    data += drop;
    size -= drop;
    if (size > blob_.size - at_) throw wrong_size("more than " + std::to_string(blob_.size));
    if (size == 0) return;
    sink_(data, size);
    at_ += size;
  }
  sdk::Error wrong_size(const std::string &size) const {
    return sdk::Error(PIPE_E_MISMATCH,
                      fmt::format("{} has {} bytes, and {} are right", name_, size, blob_.size),
                      "the registry's storage is damaged, or a proxy changes what it sends");
  }

 private:
  const Descriptor &blob_;
  std::string name_;
  const http::Sink &sink_;
  std::uint64_t at_, skip_ = 0;
};

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Access Registry::State::access(const std::string &repository, bool push) {
  const std::lock_guard lock(mutex);
  return {.repository = repository, .push = push || written.contains(repository), .also_pull = {}};
}

std::string Registry::State::named(const std::string &repository, const std::string &reference) const {
  return fmt::format("{}/{}{}{}", session.host(), repository,
                     reference.find(':') == std::string::npos ? ':' : '@', reference);
}

std::string Registry::State::named(const std::string &repository, const Digest &blob) const {
  return fmt::format("the blob {} of {}/{}", blob.brief(), session.host(), repository);
}

bool Registry::has_blob(const std::string &repository, const Descriptor &blob) {
  const std::string name = state_->named(repository, blob.digest);
  const Call call{.what = "can't look for " + name,
                  .method = "HEAD",
                  .path = blob_path(repository, blob.digest),
                  .access = state_->access(repository, false)};
  const http::Response response = state_->session.send(call);
  if (response.status == 404) return false;
  if (response.status != 200) throw_status(response, call.what);
  const std::optional<std::uint64_t> size = parse_number(response.headers.get("content-length"));
  if (size && *size != blob.size)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("{} has {} bytes, and {} are right", name, *size, blob.size),
                     "the registry's storage is damaged, or the manifest is wrong");
  return true;
}

void Registry::get_blob(const std::string &repository, const Descriptor &blob, const http::Sink &sink,
                        std::uint64_t offset) {
  const std::string name = state_->named(repository, blob.digest);
  Download download(blob, name, sink, offset);
  int tries = 0;
  for (std::uint64_t before = offset;; before = download.at()) {
    Call call{.what = "can't read " + name,
              .path = blob_path(repository, blob.digest),
              .access = state_->access(repository, false)};
    if (download.at() > 0) call.headers = {{"Range", fmt::format("bytes={}-", download.at())}};
    call.start = [&](const http::Response &response) { download.start(response); };
    call.sink = [&](const char *data, std::size_t size) { download.take(data, size); };
    try {
      const http::Response response = state_->session.send_once(call);
      if (response.status == 404)
        throw sdk::Error(PIPE_E_NOT_FOUND, name + " does not exist" + explain(response),
                         "the image there is incomplete: push it again");
      if (response.status != 200 && response.status != 206) throw_status(response, call.what);
      if (!download.done()) throw download.wrong_size(std::to_string(download.at()));
      return;
    } catch (const sdk::Error &error) {
      if (download.done() && blob.size > 0 && error.status == PIPE_E_TRANSIENT)
        return;  // all came; the end did not
      if (download.at() - before >= kGoodProgress) tries = 0;
      if (!state_->session.wait_to_retry(error, tries)) throw;
    }
  }
}

http::Response Registry::State::start_upload(const std::string &repository, const Digest &digest,
                                             const std::string &mount_from) {
  Call call{.what = fmt::format("can't push {}", named(repository, digest)),
            .method = "POST",
            .path = "/v2/" + repository + "/blobs/uploads/",
            .access = access(repository, true)};
  if (!mount_from.empty()) {
    call.path += fmt::format("?mount={}&from={}", http::encode_component(digest.str()),
                             http::encode_component(mount_from));
    call.access.also_pull = mount_from;
  }
  http::Response response = session.send_once(call);
  if (response.status != 202 && response.status != 201) throw_status(response, call.what);
  return response;
}

void Registry::State::finish_upload(const std::string &repository, const Descriptor &blob,
                                    const std::string &location, const std::function<http::Source()> &open) {
  Call call{.what = "can't push " + named(repository, blob.digest),
            .method = "PUT",
            .access = access(repository, true)};
  call.url = location + (location.find('?') == std::string::npos ? '?' : '&') +
             "digest=" + http::encode_component(blob.digest.str());
  call.headers = {{"Content-Type", "application/octet-stream"}};
  call.open = open;
  call.body_size = blob.size;
  call.no_progress = kStoring;
  const http::Response response = session.send_once(call);
  // The session is gone (a restart, another replica): a new one may do.
  if (response.status == 404 || response.status == 416)
    throw sdk::Error(PIPE_E_TRANSIENT, fmt::format("{}: {}{}", call.what, response.status, explain(response)),
                     "do all replicas of the registry have the same http secret and storage?");
  if (response.status < 200 || response.status > 299) throw_status(response, call.what);
  const std::string_view there = response.headers.get("docker-content-digest");
  if (!there.empty() && there != blob.digest.str())
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("{} was stored as {}", named(repository, blob.digest), there),
                     "the registry, or a proxy before it, changes what it is given");
}

bool Registry::State::upload(const std::string &repository, const Descriptor &blob,
                             const std::function<http::Source()> &open, const std::string &mount_from) {
  const http::Response started = start_upload(repository, blob.digest, mount_from);
  if (started.status == 201) return true;
  const std::string_view location = started.headers.get("location");
  if (location.empty())
    throw sdk::Error(
        PIPE_E_INVALID,
        fmt::format("{} does not say where to send {}", session.host(), named(repository, blob.digest)),
        "it answered 202 without a Location; is it a registry?");
  const std::string url = http::resolve_url(started.url, location);
  const http::Origin here = http::Origin::of(started.url), there = http::Origin::of(url);
  if (here.scheme == "https" && there.scheme == "http")
    throw sdk::Error(
        PIPE_E_DENIED,
        fmt::format("{} was reached by https and wants the upload by plain http: {}", session.host(),
                    http::display_url(url)),
        "a proxy before it has to send X-Forwarded-Proto, or the registry needs http.relativeurls = true");
  finish_upload(repository, blob, url, open);
  return false;
}

bool Registry::put_blob(const std::string &repository, const Descriptor &blob,
                        const std::function<http::Source()> &open, const std::string &mount_from) {
  for (int tries = 0;;) {
    try {
      return state_->upload(repository, blob, open, mount_from);
    } catch (const sdk::Error &error) {
      if (!state_->session.wait_to_retry(error, tries)) throw;
    }
  }
}

bool Registry::mount_blob(const std::string &repository, const Digest &digest, const std::string &from) {
  const http::Response started = state_->start_upload(repository, digest, from);
  if (started.status == 201) return true;
  const std::string_view location = started.headers.get("location");
  if (!location.empty())
    state_->session.send_once({.what = "can't end an upload to " + host(),
                               .method = "DELETE",
                               .url = http::resolve_url(started.url, location),
                               .access = state_->access(repository, true)});
  return false;
}

}  // namespace pipes::oci
