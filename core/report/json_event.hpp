#pragma once
#include "core/run/event.hpp"

#include <string>

namespace pipes {

/// Version of the event stream: the minor number grows when something is added, the major one when
/// something changes its meaning. Readers ignore what they do not know.
inline constexpr const char *kEventSchema = "1.0";

/// The first line of every stream.
std::string version_line();
/// One event as a line of JSON, with the line end.
std::string to_json_line(const Event &);

}  // namespace pipes
