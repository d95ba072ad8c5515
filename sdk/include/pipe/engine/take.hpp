#pragma once
// An image of an engine, for the store.
#include <pipe/engine/engine.hpp>
#include <pipe/oci/engine_archive.hpp>
#include <pipe/oci/store.hpp>

#include <string>

namespace pipes::engine {

/// Reads the image `name` out of the engine into the store, as it comes; does not name it there. An image
/// that was taken before, or loaded from the store, is not read again as long as the store has it. Of
/// another, only layers are compressed that never were. Progress is reported a layer.
oci::TakenImage take(Engine &, const std::string &name, oci::Store &, sdk::Observer &);

}  // namespace pipes::engine
