#pragma once
// The programs beside `pipe`, for what needs HTTP, TLS, an engine or the store
// (docs/design/image-program.md).
#include "core/cli/verb.hpp"

namespace pipes::cli {

/// Becomes that program, with these words; throws Error where it cannot be started.
[[noreturn]] void become_image_program(const std::string &verb, Words words);
/// Becomes the one that prints the names of the store that begin so.
[[noreturn]] void become_image_names(const std::string &prefix);

}  // namespace pipes::cli
