#include "semver.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>

#include <algorithm>
#include <charconv>

namespace pipes::oci::semver {
namespace {

using sdk::Error;

constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kMostDigits = 18;  // fit 64 bits

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kDigits) == std::string_view::npos;
}

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  if (!is_number(text) || text.size() > kMostDigits) return std::nullopt;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

/// "!=1.2" leaves out 1.2.9.
bool begins_with(const Version &version, const Version &part) {
  return part.given < 3 && !part.is_pre_release() &&
         std::equal(part.numbers.begin(), part.numbers.begin() + part.given, version.numbers.begin());
}

/// Up to `end`, which is taken away with it.
std::string_view take(std::string_view &text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view result = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return result;
}

std::strong_ordering compare_words(const std::string &a, const std::string &b) {
  const bool a_number = is_number(a), b_number = is_number(b);
  if (a_number != b_number) return a_number ? std::strong_ordering::less : std::strong_ordering::greater;
  if (a_number && a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

}  // namespace

std::optional<Version> Version::parse(std::string_view tag) {
  if (tag.starts_with('v')) tag.remove_prefix(1);
  Version version;
  tag = tag.substr(0, tag.find_first_of("+_"));
  if (tag.ends_with('.') || tag.ends_with('-')) return std::nullopt;
  std::string_view numbers = take(tag, '-');
  if (numbers.empty() || numbers.ends_with('.')) return std::nullopt;
  while (!numbers.empty()) {
    const std::optional<std::uint64_t> number = read_number(take(numbers, '.'));
    if (!number || version.given == 3) return std::nullopt;
    version.numbers[static_cast<std::size_t>(version.given++)] = *number;
  }
  while (!tag.empty()) {
    const std::string_view word = take(tag, '.');
    if (!is_word(word)) return std::nullopt;
    version.pre_release.emplace_back(word);
  }
  return version;
}

std::strong_ordering Version::operator<=>(const Version &other) const {
  if (const auto order = numbers <=> other.numbers; order != 0) return order;
  if (is_pre_release() != other.is_pre_release()) return other.is_pre_release() <=> is_pre_release();
  return std::lexicographical_compare_three_way(pre_release.begin(), pre_release.end(),
                                                other.pre_release.begin(), other.pre_release.end(),
                                                compare_words);
}

Range Range::parse(std::string_view text) {
  const auto wrong = [all = text](std::string_view what) {
    return Error(PIPE_E_INVALID, fmt::format("\"{}\" is no range of versions: {}", all, what),
                 "write it like \">=1.2 <2.0\", \"^1.2\", \"~1.2\" or \"1.x\"");
  };
  Range range;
  while (true) {
    const std::size_t end = std::min(text.find("||"), text.size());
    std::string_view part = text.substr(0, end);
    Part &added = range.parts_.emplace_back();
    while (true) {
      part.remove_prefix(std::min(part.find_first_not_of(" ,"), part.size()));
      if (part.empty()) break;
      // An operator may stand apart from its version.
      const std::size_t version = part.find_first_not_of("<>=!^~ ");
      const std::size_t after =
          std::min(part.find_first_of(" ,", std::min(version, part.size())), part.size());
      try {
        add(added, part.substr(0, after));
      } catch (const Error &error) {
        throw wrong(error.message);
      }
      part.remove_prefix(after);
    }
    if (added.bounds.empty()) throw wrong("a version is missing");
    if (end == text.size()) return range;
    text.remove_prefix(end + 2);
  }
}

void Range::add(Part &part, std::string_view text) {
  const std::size_t start = std::min(text.find_first_not_of("<>=!^~ "), text.size());
  std::string_view op = text.substr(0, start);
  while (op.ends_with(' ')) op.remove_suffix(1);
  std::string_view written = text.substr(start);
  // 1.x and 1.*: what is left out.
  bool any = false;
  std::string known;
  for (std::string_view rest = written.substr(0, written.find('-')); !rest.empty();) {
    const std::string_view word = take(rest, '.');
    any = any || word == "x" || word == "X" || word == "*";
    if (!any) known += (known.empty() ? "" : ".") + std::string(word);
  }
  if (any) written = known;
  Version low;
  if (!any || !known.empty()) {
    const std::optional<Version> version = Version::parse(written);
    if (!version) throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is no version", text.substr(start)));
    low = *version;
  }
  part.has_pre_release = part.has_pre_release || low.is_pre_release();
  // The first version that is beyond all that begin with the first `count` numbers of `low`.
  const auto beyond = [&low](int count) {
    Version high;
    std::copy_n(low.numbers.begin(), count, high.numbers.begin());
    ++high.numbers[static_cast<std::size_t>(count - 1)];
    // Its pre-releases are beyond as well, where pre-releases are in the range at all.
    high.pre_release = {"0"};
    return high;
  };
  const auto within = [&](int count) {
    part.bounds.push_back({Is::at_least, low});
    if (count > 0) part.bounds.push_back({Is::less, beyond(count)});
  };
  if (op == "^") {
    // What may change lies behind the first number that is not 0.
    int fixed = 1;
    while (fixed < low.given && low.numbers[static_cast<std::size_t>(fixed - 1)] == 0) ++fixed;
    return within(std::min(fixed, low.given));
  }
  if (op == "~" || op == "~>") return within(std::min(low.given, 2));
  const bool whole = low.given == 3;
  if (op.empty() || op == "=" || op == "==") {
    if (!whole && !low.is_pre_release()) return within(low.given);
    part.bounds.push_back({Is::equal, low});
  } else if (op == "!=") {
    part.bounds.push_back({Is::different, low});
  } else if (op == "<") {
    part.bounds.push_back({Is::less, low});
  } else if (op == ">=") {
    part.bounds.push_back({Is::at_least, low});
  } else if (op == "<=") {
    // "<=1.2" has 1.2.9.
    if (whole || low.given == 0 || low.is_pre_release())
      part.bounds.push_back({Is::at_most, low});
    else
      part.bounds.push_back({Is::less, beyond(low.given)});
  } else if (op == ">") {
    if (whole || low.given == 0 || low.is_pre_release())
      part.bounds.push_back({Is::more, low});
    else
      part.bounds.push_back({Is::at_least, beyond(low.given)});
  } else {
    throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is no comparison", op));
  }
}

bool Range::contains(const Version &version) const {
  const auto holds = [&version](const Bound &bound) {
    const std::strong_ordering order = version <=> bound.version;
    switch (bound.is) {
      case Is::equal:
        return order == 0;
      case Is::different:
        return bound.version.given == 0 || (order != 0 && !begins_with(version, bound.version));
      case Is::less:
        return order < 0;
      case Is::at_most:
        return order <= 0;
      case Is::more:
        return order > 0;
      case Is::at_least:
        return order >= 0;
    }
    return false;
  };
  return std::ranges::any_of(parts_, [&](const Part &part) {
    if (version.is_pre_release() && !part.has_pre_release) return false;
    return std::ranges::all_of(part.bounds, holds);
  });
}

}  // namespace pipes::oci::semver
