#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pipes {

/// "500ms", "30s", "2m", "1h30m", "2d" in milliseconds; nullopt: it is none. A number needs its unit.
std::optional<std::int64_t> parse_duration(std::string_view text);
/// "512", "10KB" (1000), "10KiB" and "10K" (1024), up to T, in bytes; nullopt: it is none.
std::optional<std::int64_t> parse_size(std::string_view text);
/// The shortest form that parse_duration reads back: 90000 is "1m30s".
std::string format_duration(std::int64_t milliseconds);
std::string format_size(std::int64_t bytes);

}  // namespace pipes
