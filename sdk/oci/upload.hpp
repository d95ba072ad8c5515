#pragma once
// One blob's upload (distribution-spec, "Pushing blobs"). For .cpp files of this folder only.
#include <pipe/oci/registry.hpp>

#include <cstdint>
#include <string>

#include "registry_state.hpp"
#include "upload_notes.hpp"

namespace pipes::oci {

class Upload {
 public:
  Upload(Registry &, Registry::State &, const std::string &repository, const Descriptor &,
         const Registry::OpenBlob &open);

  /// One try: POST, and PUT unless it was mounted (true). After one that failed, the next goes on from what
  /// came through, or finds that all did.
  bool run(const std::string &mount_from);

 private:
  bool begin(const std::string &mount_from);
  http::Response post(const std::string &mount_from);
  std::optional<std::uint64_t> ask_how_far();
  void send(std::uint64_t offset);
  void put(const std::string &url, std::uint64_t offset, bool last);
  void finish(const http::Response &response, const Call &call);
  Call call(std::string method, std::string url) const;
  bool large() const;

  Registry &registry_;
  Registry::State &state_;
  const std::string &repository_;
  const Descriptor &blob_;
  const Registry::OpenBlob &open_;
  const UploadNote note_;
  std::string location_;  // of the upload under way; empty: none
  int tries_ = 0;
};

/// The answer to the POST that begins an upload, or mounts: 202, or 201 where it was mounted.
http::Response start_upload(Registry::State &, const std::string &repository, const Digest &,
                            const std::string &mount_from);
/// The absolute URL that it says to send to. Throws PIPE_E_INVALID, PIPE_E_DENIED.
std::string upload_location(const Registry::State &, const std::string &repository, const Digest &,
                            const http::Response &);

}  // namespace pipes::oci
