#pragma once
// Where an image of the store came from, and whether that is still the same.
#include <pipe/oci/transfer.hpp>

#include <optional>
#include <string>

namespace pull {

namespace oci = pipes::oci;

/// Kept beside the image's name in the store.
struct Origin {
  std::string source;    // the name that was really used
  std::string state;     // of the source: a digest, an engine's image ID, a file's time and size
  std::string platform;  // as it was asked for

  static Origin of(const oci::Descriptor &stored);
  void write_to(oci::Descriptor &image) const;
};

/// The state of a source right now, as cheaply as can be: a HEAD, a look at a file, an engine's answer.
/// Throws sdk::Error where it can't be reached or has no such image.
std::string state_of(const oci::ImageName &source, const oci::RegistryOptions &, const std::string &engine,
                     pipes::sdk::Observer &);

}  // namespace pull
