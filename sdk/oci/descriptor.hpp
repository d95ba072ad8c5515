#pragma once
// Descriptors <-> JSON (image-spec, descriptor.md). For .cpp files of this folder only.
#include <pipe/oci/manifest.hpp>

#include "json.hpp"

namespace pipes::oci {

/// Throws sdk::Error{PIPE_E_INVALID} with what is wrong; the caller says in which document.
Descriptor read_descriptor(const Json &);
Json write_descriptor(const Descriptor &);

}  // namespace pipes::oci
