#pragma once
// The checks of `verify`. Each asks one question and says what it asked, what came, why it may be so and
// what to do. A check never throws for what it finds, only when it is cancelled.
#include <pipe/error.hpp>
#include <pipe/oci/image_check.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/registry.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace verify {

namespace oci = pipes::oci;
namespace sdk = pipes::sdk;

/// What one check found. With `ok`, `cause` and `remedy` are empty or a remark that deserves a warning.
struct Result {
  std::string check{}, asked{}, came{}, cause{}, remedy{};
  pipe_status status = PIPE_OK;  // of a failure
  bool ok() const { return status == PIPE_OK; }
};

/// What the registry checks work on.
struct Target {
  oci::Registry &registry;
  sdk::Observer &observer;
  std::optional<oci::Reference> image;
  std::optional<oci::Digest> digest;  // that `image` must have
  std::string canary_repository;
  std::size_t canary_size = 0;             // bytes of its layer
  oci::RegistryOptions options{};          // that `registry` was made with
  std::string container{}, engine{};       // of the registry; may be empty
  std::optional<oci::ServedImage> tree{};  // read once, by the first check that needs it
};

/// GET /v2/: is this a registry that works?
Result check_api(Target &);
/// Nobody gets in without a password, and the stored one is taken.
Result check_auth(Target &);
/// The certificate, how long it lasts, and that old versions of TLS are refused. `days`: how long it must
/// last.
Result check_tls(Target &, int days);
/// The image's manifests, and HEAD of every blob.
Result check_image(Target &);
/// GET of every blob, hashed.
Result check_content(Target &);
/// Pushes, pulls and deletes an image of its own.
Result check_canary(Target &);
/// The same through the container engine, as `docker push` and `docker pull` would.
Result check_engine(Target &);
/// What the registry lets happen: open to the world, passwords in the clear, debug address, deletion.
Result check_config(Target &);
/// Whether the registry deletes, asked by deleting what is not there. Where it does not, each canary would
/// stay for ever: then they all take one tag.
bool can_delete(Target &, const std::string &digest);

/// Free space where the images are: `data` is a folder or a named volume, or empty: what the container
/// mounts.
Result check_storage(const std::string &data, const std::string &container, const std::string &engine,
                     std::uint64_t min_free, sdk::Observer &);

/// The container as its engine sees it. `registry` (host:port, may be empty): when it is this machine's, the
/// container must publish its port.
Result check_container(const std::string &name, const std::string &engine, const std::string &registry,
                       sdk::Observer &);

/// One JSON array for machines: an object a check.
std::string report_json(const std::vector<Result> &);
/// The same as a file: JSON, JUnit's XML or text, as its name ends (.json, .xml, .txt). Throws PIPE_E_INVALID
/// for another ending, PIPE_E_IO.
void write_report(const std::string &file, const std::vector<Result> &, const std::string &what);
/// Throws PIPE_E_INVALID where `file` has no ending that write_report knows.
void check_report_name(const std::string &file);
/// Throws what the failed checks amount to; returns when there are none.
void throw_failures(const std::vector<Result> &, const std::string &what);

}  // namespace verify
