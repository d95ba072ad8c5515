#pragma once
// Where a built image goes: to a name of the store, or to a file or a folder.
#include <pipe/oci/reference.hpp>
#include <pipe/oci/store.hpp>
#include <pipe/run.hpp>

#include <optional>
#include <string>

namespace build_step {

namespace oci = pipes::oci;

class Target {
 public:
  /// One of the two, as written by a person. Throws PIPE_E_INVALID.
  Target(const std::optional<std::string> &as, const std::optional<std::string> &to);

  /// The full name, for the steps that follow.
  std::string str() const { return name_.str(); }
  /// What is there now.
  std::optional<oci::Descriptor> now(const oci::Store &store) const;
  /// Puts the image there, and notes what an undo needs.
  void put(pipes::sdk::Run &run, oci::Store &store, const oci::Descriptor &image) const;
  /// Takes back what `put` made; false if there is nothing of it.
  bool take_back(pipes::sdk::Run &run) const;

 private:
  /// Removes the file or folder if the image of that digest is all that is left in it.
  bool remove_if_ours(const std::string &digest) const;

  oci::ImageName name_;
};

}  // namespace build_step
