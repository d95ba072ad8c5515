#include "referrers.hpp"

#include <pipe/oci/attached.hpp>

#include <algorithm>

#include "descriptor.hpp"

namespace pipes::oci {

std::optional<Manifest> with_referrers(const std::optional<Manifest> &list,
                                       const std::vector<Descriptor> &more) {
  Json index = list ? Json::parse(list->bytes)
                    : Json{{"schemaVersion", 2}, {"mediaType", kOciIndex}, {"manifests", Json::array()}};
  bool added = false;
  for (const Descriptor &entry : more) {
    const auto is_same = [&](const Descriptor &known) { return known.digest == entry.digest; };
    if (list && std::ranges::any_of(list->manifests, is_same)) continue;
    index["manifests"].push_back(write_descriptor(entry));
    added = true;
  }
  if (!added) return std::nullopt;
  return parse_manifest(index.dump(), kOciIndex);
}

void add_to_fallback_tag(ImageTarget &target, const Digest &subject, const std::vector<Descriptor> &more) {
  const std::string tag = fallback_tag(subject);
  std::optional<Manifest> list;
  if (const std::optional<Descriptor> there = target.find(tag)) list = target.manifest(there->digest.str());
  if (const std::optional<Manifest> longer = with_referrers(list, more)) target.put(*longer, tag);
}

}  // namespace pipes::oci
