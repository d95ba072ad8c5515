// Blobs: looked for, fetched, mounted, uploaded (distribution-spec, "Pulling blobs", "Pushing blobs").
#include <fmt/core.h>

#include <charconv>

#include "download.hpp"
#include "registry_error.hpp"
#include "registry_state.hpp"
#include "upload.hpp"

namespace pipes::oci {
namespace {

std::string blob_path(const std::string &repository, const Digest &digest) {
  return "/v2/" + repository + "/blobs/" + digest.str();
}

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
                        std::uint64_t offset, const std::function<bool()> &give_up) {
  const std::string name = state_->named(repository, blob.digest);
  const auto call_for = [&](const std::string &range) {
    Call call{.what = "can't read " + name,
              .path = blob_path(repository, blob.digest),
              .access = state_->access(repository, false)};
    if (!range.empty()) call.headers = {{"Range", "bytes=" + range}};
    call.expected_size = blob.size;
    call.give_up = give_up;
    return call;
  };
  Download(state_->session, blob, name, sink, offset, call_for).run();
}

bool Registry::put_blob(const std::string &repository, const Descriptor &blob, const OpenBlob &open,
                        const std::string &mount_from) {
  Upload upload(*this, *state_, repository, blob, open);
  for (int tries = 0;;) {
    try {
      return upload.run(mount_from);
    } catch (const sdk::Error &error) {
      if (!state_->session.wait_to_retry(error, tries)) throw;
    }
  }
}

bool Registry::mount_blob(const std::string &repository, const Digest &digest, const std::string &from) {
  const http::Response started = start_upload(*state_, repository, digest, from);
  if (started.status == 201) return true;
  if (!started.headers.get("location").empty())
    state_->session.send_once({.what = "can't end an upload to " + host(),
                               .method = "DELETE",
                               .url = upload_location(*state_, repository, digest, started),
                               .access = state_->access(repository, true)});
  return false;
}

}  // namespace pipes::oci
