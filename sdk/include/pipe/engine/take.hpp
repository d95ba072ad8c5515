#pragma once
// An image of an engine, for the store.
#include <pipe/engine/engine.hpp>
#include <pipe/oci/store.hpp>

#include <string>

namespace pipes::engine {

/// Reads the image `name` out of the engine into the store and returns its descriptor; does not name it
/// there. Goes by a temporary file in the store, as the engine's archive ends with what has to
/// be known first.
oci::Descriptor take(Engine &, const std::string &name, oci::Store &);

}  // namespace pipes::engine
