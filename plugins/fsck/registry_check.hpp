#pragma once
// Every image of a registry: are all of its manifests and blobs there, and sound?
#include <pipe/error.hpp>
#include <pipe/oci/image_check.hpp>
#include <pipe/oci/registry.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace fsck {

namespace oci = pipes::oci;
namespace sdk = pipes::sdk;

/// A tag that can't be pulled as it should.
struct Broken {
  std::string repository, tag, digest;  // no digest: the tag leads nowhere
  std::vector<std::string> problems;
  bool damaged = false;  // bytes that are there are wrong
};

struct Totals {
  std::uint64_t repositories = 0, tags = 0, manifests = 0, blobs = 0, bytes = 0;  // that were looked at
};

class RegistryCheck {
 public:
  /// `content`: every blob is fetched and hashed, once.
  RegistryCheck(oci::Registry &registry, bool content, sdk::Observer &observer)
      : registry_(registry), content_(content), observer_(observer) {}

  /// Throws where the registry itself does not answer, or refuses.
  void look_at(const std::string &repository);

  const Totals &totals() const { return totals_; }
  /// Sorted by repository and tag.
  const std::vector<Broken> &broken() const { return broken_; }

 private:
  struct Root {
    oci::Descriptor descriptor;
    std::vector<std::string> tags;
    oci::ServedImage image{};
    std::vector<std::string> problems{};
    bool damaged = false;
  };
  using Findings = std::map<oci::Digest, oci::BlobFinding>;

  std::vector<Root> roots(const std::string &repository, std::vector<Broken> &dangling);
  void read(const std::string &repository, Root &);
  Findings check_blobs(const std::string &repository, const std::map<oci::Digest, oci::Descriptor> &);
  oci::BlobFinding check_blob(const std::string &repository, const oci::Descriptor &);
  std::string said_of(const sdk::Error &) const;

  oci::Registry &registry_;
  const bool content_;
  sdk::Observer &observer_;
  Totals totals_;
  std::vector<Broken> broken_;
  std::mutex mutex_;
  std::map<oci::Digest, oci::BlobFinding> hashed_;  // in a registry, a blob has one content
  std::atomic<std::uint64_t> done_ = 0;
};

}  // namespace fsck
