#pragma once
// How long an exchange with a registry may stand still.
#include <chrono>

namespace pipes::oci {

/// What PIPE_NO_PROGRESS_SECONDS says (whole seconds, from 1 to 86400), else `usual`; 0 stays 0, "never".
/// Throws sdk::Error{PIPE_E_INVALID} where the variable holds something else.
std::chrono::milliseconds no_progress_limit(std::chrono::milliseconds usual);

}  // namespace pipes::oci
