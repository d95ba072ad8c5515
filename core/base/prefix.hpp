#pragma once
#include <filesystem>

namespace pipes {

/// The folder that has this program as bin/pipe: a prefix, or the build tree, which is laid out alike.
/// Throws Error if there is no telling.
std::filesystem::path install_prefix();

}  // namespace pipes
