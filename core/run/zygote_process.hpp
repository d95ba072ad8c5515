#pragma once
#include "core/base/fd.hpp"

namespace pipes {

/// The life of the zygote, from its fork on: obeys what comes over `control` until the runner is gone.
[[noreturn]] void run_zygote_process(UniqueFd control);

}  // namespace pipes
