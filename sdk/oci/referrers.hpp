#pragma once
// What refers to an image, where a registry keeps no list of it (distribution-spec, "Referrers Tag Schema").
// For .cpp files of this folder only.
#include <pipe/oci/manifest.hpp>

#include <vector>

#include "image_target.hpp"

namespace pipes::oci {

/// An index like `list` with `more` that are not in it. Nothing to add: nullopt.
std::optional<Manifest> with_referrers(const std::optional<Manifest> &list,
                                       const std::vector<Descriptor> &more);

/// Sees to it that the index under the fallback tag of `subject` has all of `list`: it becomes that very
/// index, byte for byte, unless the target's own has more. Two that do so at once may lose an entry, as the
/// specification warns: it knows no lock.
void merge_into_fallback_tag(ImageTarget &, const Digest &subject, const Listed &list);
/// The same for some entries of a list.
void add_to_fallback_tag(ImageTarget &, const Digest &subject, const std::vector<Descriptor> &);

}  // namespace pipes::oci
