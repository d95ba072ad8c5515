#pragma once
#include "core/run/event.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pipes {

/// Version of the event stream: the minor number grows when something is added, the major one when
/// something changes its meaning. Readers ignore what they do not know.
inline constexpr const char *kEventSchema = "1.3";

/// UTC with milliseconds: 2026-01-02T03:04:05.678Z.
std::string timestamp(std::chrono::system_clock::time_point);
/// And back, from that or from the short form in the name of a run's folder; the epoch if it is neither.
std::chrono::system_clock::time_point time_of(std::string_view);
/// The first line of every stream.
std::string version_line();
/// One event as a line of JSON, with the line end.
std::string to_json_line(const Event &);
/// A line of a stream as the event that it was made of; nullopt: it is of a type that is not known here, or
/// no event at all (a run that was killed may leave half a line).
std::optional<Event> read_event(std::string_view line);

}  // namespace pipes
