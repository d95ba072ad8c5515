#pragma once
// A registry that speaks the OCI distribution API (distribution-spec, spec.md), one object a host.
#include <pipe/error.hpp>
#include <pipe/http/client.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/reference.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// How to talk to a registry.
struct RegistryOptions {
  bool insecure = false;  // plain HTTP or an unverified certificate; loopback may always be plain HTTP
  std::string ca_file{};  // PEM, trusted besides the system's
  /// PEM files of a client certificate and its key (empty: the key is in the same file). Without them the
  /// ones of Docker's and Podman's certs.d folders are used.
  std::string client_cert{}, client_key{};
  /// What to log in with, in place of what Docker and Podman keep for this registry; empty: that.
  std::string username{}, password{};
  /// At most so many things at once; 0: begins with 8 and goes up to 16, down where the host complains.
  std::size_t concurrency = 0;
  std::uint64_t rate = 0;  // bytes a second, of blobs, both ways; 0: any

  /// The same for another registry than the one that the login is for.
  RegistryOptions without_login() const {
    RegistryOptions options = *this;
    options.username = options.password = {};
    return options;
  }
  bool operator==(const RegistryOptions &) const = default;
};

/// What a registry was asked for, and answered.
struct Traffic {
  std::uint64_t requests = 0, retries = 0;
};

/// Talks to one registry. Any thread may call any member: each thread has connections of its own, all
/// share what is known of the host (scheme, tokens, Retry-After). Credentials come from the options, else
/// from Docker's and Podman's files and helpers, and go to no other origin. Transient failures (connection,
/// 429, 5xx) are retried inside, with jitter and Retry-After; what is thrown then is final.
///
/// Every member throws sdk::Error: PIPE_E_NOT_FOUND, PIPE_E_DENIED, PIPE_E_TRANSIENT, PIPE_E_TIMEOUT,
/// PIPE_E_MISMATCH, PIPE_E_INVALID (an answer that is no registry's), PIPE_E_CANCELLED.
class Registry {
 public:
  /// `host` as in names: "docker.io", "localhost:5000".
  Registry(std::string host, RegistryOptions, sdk::Observer &);
  ~Registry();
  Registry(const Registry &) = delete;
  Registry &operator=(const Registry &) = delete;

  const std::string &host() const;
  /// scheme://host[:port], once the scheme is known (the first request finds out).
  std::string origin();

  /// The answer to GET /v2/ as it came, without credentials and without retry.
  struct Ping {
    int status = 0;
    std::string challenge;    // WWW-Authenticate
    std::string api_version;  // Docker-Distribution-Api-Version
    std::string body_start;   // at most 200 bytes, printable
  };
  Ping ping();

  /// HEAD; nullopt when there is no such manifest. Falls back to GET where HEAD gives no digest.
  std::optional<Descriptor> head_manifest(const std::string &repository, const std::string &reference);
  /// GET, checked against the digest when `reference` is one.
  Manifest manifest(const std::string &repository, const std::string &reference);
  /// PUT of the exact bytes under a tag or its digest; compares the digest that the registry reports. True
  /// where the registry says that it lists it among the referrers of its subject (OCI-Subject).
  bool put_manifest(const std::string &repository, const std::string &reference, const Manifest &);
  /// DELETE by digest (or by tag, where the registry can). PIPE_E_DENIED says when deletion is off.
  void delete_manifest(const std::string &repository, const std::string &reference);
  std::vector<std::string> tags(const std::string &repository);
  /// All repositories, sorted, by GET /v2/_catalog (a registry need not have it: Distribution, zot, Harbor
  /// and ECR do). PIPE_E_DENIED or PIPE_E_NOT_FOUND, with what to do, where it can't be read.
  std::vector<std::string> repositories();
  /// Says beforehand that this repository will be written to, so that reading and writing need one token.
  void expect_push(const std::string &repository);

  /// HEAD. Throws PIPE_E_MISMATCH if the registry reports another size.
  bool has_blob(const std::string &repository, const Descriptor &);
  /// GET from `offset` to the end. The caller hashes; too many or too few bytes are PIPE_E_MISMATCH. A
  /// broken connection goes on from where it was, where the server answers 206. `give_up` is asked now and
  /// then: true ends it with PIPE_E_CANCELLED.
  void get_blob(const std::string &repository, const Descriptor &, const http::Sink &,
                std::uint64_t offset = 0, const std::function<bool()> &give_up = {});
  /// The content of a blob from `offset` on; asked for at each try.
  using OpenBlob = std::function<http::Source(std::uint64_t offset)>;
  /// POST + PUT. With `mount_from`, the POST asks to mount from that repository of this host; true: it did,
  /// nothing was sent. An upload that broke goes on from what the registry says it has, where it keeps
  /// that (distribution-spec, "Pushing a blob in chunks"), a large one also in a later run; else from the
  /// start.
  bool put_blob(const std::string &repository, const Descriptor &, const OpenBlob &open,
                const std::string &mount_from = {});
  /// Mounts from another repository of this host. False: the registry wants the bytes (its upload is
  /// cancelled).
  bool mount_blob(const std::string &repository, const Digest &, const std::string &from);

  /// The manifests that refer to `subject` (distribution-spec, "Listing Referrers"). nullopt: the registry
  /// keeps no such list, and the fallback tag holds it; a repository that said so is not asked again.
  std::optional<Manifest> referrers(const std::string &repository, const Digest &subject);
  /// Waits until this host may be asked for one more thing at once. Let the result go when that is done.
  std::shared_ptr<void> enter();
  Traffic traffic() const;

  struct State;  // for the inside

 private:
  std::unique_ptr<State> state_;
};

}  // namespace pipes::oci
