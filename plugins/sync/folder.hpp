#pragma once
// A folder (an OCI layout) at an end of a sync: the names in it are the images that it has.
#include <pipe/oci/reference.hpp>

#include <map>
#include <string>
#include <vector>

#include "rule.hpp"

namespace mirror {

class Folder {
 public:
  /// Throws PIPE_E_NOT_FOUND where the folder is no layout.
  explicit Folder(const std::string &path);
  static bool exists(const std::string &path);

  std::vector<std::string> tags(const pipes::oci::Reference &repository) const;
  /// The full names of its repositories.
  std::vector<std::string> repositories() const;
  /// Rules for all that it holds.
  std::vector<Rule> everything() const;
  /// All names that a registry could have.
  std::vector<pipes::oci::Reference> images() const;
  /// As the folder writes it. Throws PIPE_E_NOT_FOUND if it has no such image.
  pipes::oci::ImageName name_of(const pipes::oci::Reference &image) const;

 private:
  std::string path_;
  std::map<std::string, std::pair<pipes::oci::Reference, std::string>> images_;  // by full name
};

}  // namespace mirror
