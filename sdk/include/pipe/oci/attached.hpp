#pragma once
// Tags that are no images of their own: what is attached to one is found by its digest.
#include <pipe/oci/digest.hpp>

#include <string>
#include <string_view>

namespace pipes::oci {

/// "sha256-…": the tag that lists what refers to a manifest, where a registry has no list of its own
/// (distribution-spec, "Referrers Tag Schema"). Cosign's tags are this one with .sig, .att or .sbom.
std::string fallback_tag(const Digest &subject);

/// Whether a tag lists what refers to an image, or is a signature's (sha256-….sig): it is no image of its
/// own.
bool is_attached_tag(std::string_view tag);

/// "localhost:5000/app:sha256-….list": the name that a folder gives to a registry's own list of what refers
/// to an image of that repository. No tag: only folders have it.
std::string list_name(const std::string &repository, const Digest &subject);
bool is_list_name(std::string_view name);

}  // namespace pipes::oci
