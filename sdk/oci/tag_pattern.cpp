#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/attached.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/tag_pattern.hpp>

#include <algorithm>
#include <boost/regex.hpp>
#include <optional>

#include "semver.hpp"

namespace pipes::oci {
namespace {

using sdk::Error;
using semver::Version;

constexpr std::string_view kDigits = "0123456789";

/// "3.x", "v1.2.x": no pattern of another kind, and hardly ever a tag.
bool is_x_range(std::string_view text) {
  if (!text.ends_with(".x") && !text.ends_with(".X")) return false;
  text = text.substr(text.starts_with('v') ? 1 : 0);
  return !text.empty() && text.front() >= '0' && text.front() <= '9' &&
         text.find_first_not_of("0123456789.xX") == std::string_view::npos;
}

std::string_view take_digits(std::string_view &text) {
  const std::size_t end = std::min(text.find_first_not_of(kDigits), text.size());
  std::string_view digits = text.substr(0, end);
  text.remove_prefix(end);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

/// Runs of digits by their value.
std::strong_ordering natural_order(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::string_view x = take_digits(a), y = take_digits(b);
      if (x.size() != y.size()) return x.size() <=> y.size();
      if (const int order = x.compare(y); order != 0) return order <=> 0;
      continue;
    }
    if (a.front() != b.front()) return a.front() <=> b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() <=> b.size();
}

}  // namespace

struct TagPattern::Compiled {
  boost::regex regex{};
  std::optional<semver::Range> range{};
};

TagPattern TagPattern::parse(std::string_view text) {
  TagPattern pattern;
  pattern.text_ = text;
  if (text.size() > 2 && text.starts_with('/') && text.ends_with('/')) {
    pattern.kind_ = Kind::regex;
    try {
      pattern.compiled_ =
          std::make_shared<const Compiled>(Compiled{.regex = boost::regex(text.begin() + 1, text.end() - 1)});
    } catch (const boost::regex_error &error) {
      std::string why = error.what();
      why = why.substr(0, why.find("  The error occurred"));
      throw Error(PIPE_E_INVALID, fmt::format("{} is no regular expression: {}", text, why));
    }
    return pattern;
  }
  if (text.find_first_of("<>=^~!") == 0 || is_x_range(text)) {
    pattern.kind_ = Kind::range;
    pattern.compiled_ = std::make_shared<const Compiled>(Compiled{.range = semver::Range::parse(text)});
    return pattern;
  }
  if (text.find_first_of("*?") != std::string_view::npos) {
    pattern.kind_ = Kind::glob;
    return pattern;
  }
  try {
    static_cast<void>(Reference::parse("x:" + std::string(text)));
  } catch (const Error &) {
    throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is neither a tag nor a pattern", text),
                "write 3.20, 3.*, /^3\\.[0-9]+$/, \">=3.18 <4\" or ^3.18");
  }
  return pattern;
}

bool TagPattern::matches(const std::string &tag) const {
  if (kind_ == Kind::literal) return tag == text_;
  if (is_attached_tag(tag)) return false;
  if (kind_ == Kind::glob) return glob_matches(text_, tag);
  if (kind_ == Kind::range) {
    const std::optional<Version> version = Version::parse(tag);
    return version && compiled_->range->contains(*version);
  }
  try {
    return boost::regex_search(tag, compiled_->regex);
  } catch (const std::runtime_error &) {  // too complex for this tag
    return false;
  }
}

bool glob_matches(std::string_view glob, std::string_view text) {
  std::size_t g = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

void sort_newest_first(std::vector<std::string> &tags) {
  struct Key {
    std::optional<Version> version;
    std::string tag;
  };
  std::vector<Key> keys;
  keys.reserve(tags.size());
  for (std::string &tag : tags) {
    std::optional<Version> version = Version::parse(tag);
    keys.push_back({std::move(version), std::move(tag)});
  }
  std::ranges::sort(keys, [](const Key &a, const Key &b) {
    if (a.version.has_value() != b.version.has_value()) return a.version.has_value();
    if (a.version)
      if (const auto order = *a.version <=> *b.version; order != 0) return order > 0;
    const auto order = natural_order(a.tag, b.tag);
    return order != 0 ? order > 0 : a.tag > b.tag;
  });
  std::ranges::transform(keys, tags.begin(), [](Key &key) { return std::move(key.tag); });
}

}  // namespace pipes::oci
