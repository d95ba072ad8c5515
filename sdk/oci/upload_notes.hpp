#pragma once
// Uploads under way, so that a later run goes on with one that was broken off. For .cpp files of this folder
// only.
#include <pipe/oci/digest.hpp>

#include <filesystem>
#include <string>

namespace pipes::oci {

/// Where one blob's upload to one repository is noted: a file in the store's folder, of the user's own, as
/// its URL may be enough to write to the registry. What can't be noted is only not gone on with.
class UploadNote {
 public:
  UploadNote(const std::string &host, const std::string &repository, const Digest &blob);

  /// The URL of a younger upload than a day; empty if there is none.
  std::string read() const;
  void write(const std::string &url) const;
  void drop() const;

 private:
  std::filesystem::path path_;
};

}  // namespace pipes::oci
