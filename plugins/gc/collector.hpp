#pragma once
// `registry garbage-collect` of CNCF Distribution: how it is called in a container, and what it says.
#include <pipe/engine/engine.hpp>
#include <pipe/oci/digest.hpp>

#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace gc {

/// The program and the configuration of the registry in a container, as its entry point and command say:
/// {"registry", "garbage-collect", "/etc/docker/registry/config.yml"}. `config` overrides the file. Throws
/// sdk::Error{PIPE_E_INVALID} where neither says which file it is.
std::vector<std::string> collect_command(const pipes::engine::ContainerSpec &, const std::string &config);

/// The file of a blob below the root directory that the container's environment says.
std::string blob_file(const pipes::engine::ContainerSpec &, const pipes::oci::Digest &);

/// Reads what the collector writes.
class Findings {
 public:
  void feed(std::string_view piece);
  /// The rest of the last line. Throws sdk::Error{PIPE_E_INVALID} where a line named what would be deleted,
  /// and not as version 2 or 3 does.
  void finish();

  std::set<pipes::oci::Digest> blobs, manifests;  // eligible for deletion
  /// Its last lines, for errors.
  std::string last_lines() const;

 private:
  void line(std::string_view text);

  std::string unfinished_, unread_;
  std::deque<std::string> last_;
};

}  // namespace gc
