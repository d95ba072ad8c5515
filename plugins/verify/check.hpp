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
  std::optional<oci::ServedImage> tree{};  // read once, by the first check that needs it
};

/// GET /v2/: is this a registry that works?
Result check_api(Target &);
/// The image's manifests, and HEAD of every blob.
Result check_image(Target &);
/// GET of every blob, hashed.
Result check_content(Target &);
/// Pushes, pulls and deletes an image of its own.
Result check_canary(Target &);

/// The container as its engine sees it. `registry` (host:port, may be empty): when it is this machine's, the
/// container must publish its port.
Result check_container(const std::string &name, const std::string &engine, const std::string &registry,
                       sdk::Observer &);

/// One JSON array for machines: an object a check.
std::string report_json(const std::vector<Result> &);
/// Throws what the failed checks amount to; returns when there are none.
void throw_failures(const std::vector<Result> &, const std::string &what);

}  // namespace verify
