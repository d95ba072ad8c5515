#include "no_progress.hpp"

#include <pipe/error.hpp>

#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

namespace pipes::oci {
namespace {
constexpr int kLongest = 24 * 3600;
}

std::chrono::milliseconds no_progress_limit(std::chrono::milliseconds usual) {
  const char *value = std::getenv("PIPE_NO_PROGRESS_SECONDS");
  if (value == nullptr || *value == '\0') return usual;
  const std::string_view text(value);
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 1 || seconds > kLongest)
    throw sdk::Error(PIPE_E_INVALID, "PIPE_NO_PROGRESS_SECONDS is \"" + std::string(text) + "\"",
                     "give whole seconds, from 1 to " + std::to_string(kLongest));
  return std::chrono::seconds(seconds);
}

}  // namespace pipes::oci
