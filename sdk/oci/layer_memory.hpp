#pragma once
// What the store remembers beside its blobs, so that nothing is compressed twice. For .cpp files of this
// folder only.
#include <pipe/oci/layer.hpp>
#include <pipe/oci/store.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace pipes::oci {

/// The blob that a layer of that diffID became when it was compressed here; nullopt: it never was, or its
/// blob is gone.
std::optional<Layer> recall_layer(const Store &, const Digest &diff_id);
/// A small file of the store, `.layers/<algorithm>/<hex>`. It is not an error if that can't be written.
void remember_layer(const Store &, const Layer &);

/// Removes what is remembered of blobs and images that are no longer in the store; gives how many entries.
/// For who removes blobs. Nothing relies on it: what leads nowhere is not believed.
std::size_t prune_memory(const Store &);

}  // namespace pipes::oci
