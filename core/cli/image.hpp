#pragma once
// The program beside `pipe`, for what needs HTTP, TLS or an engine (docs/design/image-program.md).
#include "core/cli/verb.hpp"

namespace pipes::cli {

/// Becomes that program, with these words; throws Error where it cannot be started.
[[noreturn]] void become_image_program(const std::string &verb, const Words &words);

}  // namespace pipes::cli
