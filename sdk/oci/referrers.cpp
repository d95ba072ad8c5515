#include "referrers.hpp"

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

void merge_into_fallback_tag(ImageTarget &target, const Digest &subject, const Listed &list) {
  const std::string tag = target.list_tag(subject);
  const std::optional<Descriptor> there = target.find(tag);
  if (there && there->digest == list.index.digest) return;
  if (there) {
    const Manifest own = target.manifest(there->digest.str());
    const bool has_all = !with_referrers(own, list.index.manifests);
    // Of a list that a registry makes each time anew, another order is no change.
    if (has_all && !list.is_tag) return;
    if (with_referrers(list.index, own.manifests)) {  // some of its own
      if (const std::optional<Manifest> longer = with_referrers(own, list.index.manifests))
        target.put(*longer, tag);
      return;
    }
  }
  target.put(list.index, tag);
}

void add_to_fallback_tag(ImageTarget &target, const Digest &subject, const std::vector<Descriptor> &more) {
  const std::string tag = target.list_tag(subject);
  std::optional<Manifest> list;
  if (const std::optional<Descriptor> there = target.find(tag)) list = target.manifest(there->digest.str());
  if (const std::optional<Manifest> longer = with_referrers(list, more)) target.put(*longer, tag);
}

}  // namespace pipes::oci
