#include "rule.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>

#include <algorithm>
#include <charconv>

namespace mirror {
namespace {

using pipes::sdk::Error;

/// Where the name ends: at the colon that begins no port and is of no IPv6 address.
std::size_t end_of_name(std::string_view text) {
  const std::size_t address = text.starts_with('[') ? std::min(text.find(']'), text.size()) : 0;
  for (std::size_t at = text.find(':', address); at != std::string_view::npos; at = text.find(':', at + 1)) {
    const std::size_t after = std::min(text.find_first_not_of("0123456789", at + 1), text.size());
    const bool is_port = after > at + 1 && after < text.size() && text[after] == '/';
    if (!is_port) return at;
  }
  return text.size();
}

std::string_view take_word(std::string_view &text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

/// "exclude=…"; not "<=8" or "||", which go on with a range.
bool is_option(std::string_view word) {
  const std::size_t equals = word.find('=');
  return equals != std::string_view::npos && equals > 0 &&
         word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_-") == equals;
}

std::size_t read_count(std::string_view text) {
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count == 0)
    throw Error(PIPE_E_INVALID, fmt::format("newest takes a number from 1, not \"{}\"", text));
  return count;
}

void read_option(Rule &rule, std::string_view word) {
  const std::string_view key = word.substr(0, word.find('='));
  const std::string_view value = word.substr(key.size() + 1);
  if (value.empty()) throw Error(PIPE_E_INVALID, fmt::format("{} has no value", key));
  if (key == "exclude") {
    rule.exclude.push_back(TagPattern::parse(value));
  } else if (key == "newest") {
    rule.newest = read_count(value);
  } else if (key == "as") {
    rule.as = value;
  } else {
    throw Error(PIPE_E_INVALID, fmt::format("there is no option \"{}\"", key),
                "options are exclude=PATTERN, newest=N and as=REPOSITORY");
  }
}

Rule read(std::string_view text) {
  Rule rule;
  const std::string_view first = take_word(text);
  std::string tags;
  if (const std::size_t at = first.find('@'); at != std::string_view::npos) {
    rule.digest = pipes::oci::Digest::parse(first.substr(at + 1));
    const std::string_view named = first.substr(0, at);
    rule.repository = named.substr(0, end_of_name(named));
    tags = named.substr(std::min(rule.repository.size() + 1, named.size()));
  } else {
    rule.repository = first.substr(0, end_of_name(first));
    tags = first.substr(std::min(rule.repository.size() + 1, first.size()));
    if (first.ends_with(':') && tags.empty()) throw Error(PIPE_E_INVALID, "there is no tag after its ':'");
  }
  if (rule.repository.empty()) throw Error(PIPE_E_INVALID, "it names no repository");
  for (std::string_view word; !(word = take_word(text)).empty();) {
    if (is_option(word)) {
      read_option(rule, word);
    } else {
      if (tags.find_first_of("<>=^~!") != 0)
        throw Error(PIPE_E_INVALID, fmt::format("what is \"{}\"?", word),
                    "after the name come exclude=PATTERN, newest=N and as=REPOSITORY");
      tags.append(" ").append(word);
    }
  }
  if (!tags.empty()) rule.tags = TagPattern::parse(tags);
  rule.has_tag = !rule.digest || !tags.empty();
  if (rule.digest && !rule.tags.is_literal())
    throw Error(PIPE_E_INVALID, "a digest goes with one tag, not with a pattern");
  if (rule.tags.is_literal() && (rule.newest || !rule.exclude.empty()))
    throw Error(PIPE_E_INVALID, "newest and exclude go with a pattern, and it names one tag",
                "for all tags write " + rule.repository + ":*");
  if (rule.is_about_many() && (rule.digest || !rule.as.empty()))
    throw Error(PIPE_E_INVALID, "a digest and as=REPOSITORY go with one repository, not with a pattern");
  return rule;
}

}  // namespace

Rule Rule::for_repository(const std::string &name) const {
  Rule rule = *this;
  rule.repository = name;
  return rule;
}

Rule Rule::parse(std::string_view entry) {
  try {
    return read(entry);
  } catch (const Error &error) {
    throw Error(PIPE_E_INVALID, fmt::format("images: \"{}\": {}", entry, error.message), error.hint);
  }
}

bool Rule::governs(const std::string &tag) const {
  if (!has_tag || !tags.matches(tag)) return false;
  return tags.is_literal() ||
         std::ranges::none_of(exclude, [&](const TagPattern &pattern) { return pattern.matches(tag); });
}

std::vector<std::string> Rule::select(const std::vector<std::string> &all) const {
  if (tags.is_literal()) return {tags.text()};
  std::vector<std::string> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen),
                       [this](const std::string &tag) { return governs(tag); });
  pipes::oci::sort_newest_first(chosen);
  if (newest && chosen.size() > *newest) chosen.resize(*newest);
  return chosen;
}

}  // namespace mirror
