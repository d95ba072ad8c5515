#include "core/base/quantity.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace pipes {
namespace {

using Unit = std::pair<std::string_view, std::int64_t>;

constexpr std::array<Unit, 5> kTimes{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizes{
    {{"TiB", 1LL << 40}, {"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10}}};

/// A number without sign or exponent at the start of `text`, which is moved behind it.
std::optional<double> take_number(std::string_view &text) {
  const std::size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
  if (length == 0 || error != std::errc() || end != text.data() + length) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

/// 0 often stands for "no limit", so that what is less than one unit does not become it.
std::optional<std::int64_t> whole(double value) {
  if (!(value < 9.2e18) || (value > 0 && value < 1)) return std::nullopt;
  return static_cast<std::int64_t>(std::llround(value));
}

std::optional<std::int64_t> size_unit(std::string_view unit) {
  if (unit.empty() || unit == "B") return 1;
  constexpr std::string_view kLetters = "KMGT";
  const char letter = unit.front() == 'k' ? 'K' : unit.front();
  const std::size_t power = kLetters.find(letter);
  if (power == std::string_view::npos) return std::nullopt;
  const std::string_view rest = unit.substr(1);
  std::int64_t result = 1;
  for (std::size_t i = 0; i <= power; ++i) result *= rest == "B" ? 1000 : 1024;
  return rest.empty() || rest == "B" || rest == "iB" ? std::optional(result) : std::nullopt;
}

}  // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  std::int64_t above = INT64_MAX;  // units come in descending order: "1h30m", never "30m1h"
  while (!text.empty()) {
    const auto number = take_number(text);
    const std::string_view unit = text.substr(0, std::min(text.find_first_of("0123456789."), text.size()));
    const auto *found = kTimes.begin();
    while (found != kTimes.end() && found->first != unit) ++found;
    if (!number || found == kTimes.end() || found->second >= above) return std::nullopt;
    total += *number * static_cast<double>(found->second);
    above = found->second;
    text.remove_prefix(unit.size());
  }
  return whole(total);
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  const auto number = take_number(text);
  const auto unit = number ? size_unit(text) : std::nullopt;
  return unit ? whole(*number * static_cast<double>(*unit)) : std::nullopt;
}

std::string format_duration(std::int64_t milliseconds) {
  if (milliseconds == 0) return "0s";
  std::string result;
  for (const auto &[unit, length] : kTimes) {
    if (milliseconds / length != 0) result += fmt::format("{}{}", milliseconds / length, unit);
    milliseconds %= length;
  }
  return result;
}

std::string format_size(std::int64_t bytes) {
  if (bytes == 0) return "0";
  for (const auto &[unit, size] : kSizes) {
    if (bytes % size == 0) return fmt::format("{}{}", bytes / size, unit);
  }
  return fmt::format("{}B", bytes);
}

}  // namespace pipes
