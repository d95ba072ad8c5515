#include "core/run/redactor.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

constexpr std::size_t kShortest = 4;         // below, masking would eat ordinary text
constexpr std::size_t kShortestEncoded = 8;  // an encoded form is matched from this length

std::uint16_t prefix(std::string_view s) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(s[0]) << 8U |
                                    static_cast<unsigned char>(s[1]));
}

/// Base64 without padding of `skip` unknown bytes and the value, as far as it depends on the value
/// alone: the form a secret has inside something longer that was encoded, such as `user:password`.
std::string base64_inside(std::string_view value, std::size_t skip, std::string_view alphabet) {
  const std::string bytes = std::string(skip, '\0') + std::string(value);
  std::string out;
  std::size_t bits = 0, first_free = (skip * 8 + 5) / 6;
  std::uint32_t pending = 0;
  for (const char c : bytes) {
    pending = pending << 8U | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(alphabet[pending >> (bits - 6) & 63U]);
    pending &= (1U << bits) - 1;
  }
  return out.size() > first_free ? out.substr(first_free) : std::string();
}

std::string url_encoded(std::string_view value, std::string_view digits) {
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(digits[byte >> 4U]);
      out.push_back(digits[byte & 15U]);
    }
  }
  return out;
}

std::string json_escaped(const std::string &value) {
  const std::string quoted = to_json(Value(value));
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

Redactor::Redactor(const std::vector<std::string> &secrets) {
  constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  bool any_empty = false, any_short = false;
  for (const std::string &secret : secrets) {
    if (secret.empty()) {
      any_empty = true;
      continue;
    }
    if (secret.size() < kShortest) {
      any_short = true;
      continue;
    }
    add(secret);
    for (std::string_view rest = secret; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (line.size() >= kShortest)
        add(std::string(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line));
    }
    std::vector<std::string> encoded{url_encoded(secret, "0123456789ABCDEF"),
                                     url_encoded(secret, "0123456789abcdef"), json_escaped(secret)};
    for (const std::size_t skip : {0U, 1U, 2U}) {
      encoded.push_back(base64_inside(secret, skip, kBase64));
      encoded.push_back(base64_inside(secret, skip, kBase64Url));
    }
    for (std::string &form : encoded) {
      if (form.size() >= kShortestEncoded) add(std::move(form));
    }
  }
  for (auto &[start, patterns] : patterns_) {
    std::ranges::sort(patterns, [](const auto &a, const auto &b) { return a.size() > b.size(); });
  }
  if (any_empty) warnings_.emplace_back("a secret is empty; there is nothing to mask");
  if (any_short) {
    warnings_.push_back(fmt::format(
        "a secret is shorter than {} characters and is not masked, as that would mask ordinary text too",
        kShortest));
  }
}

void Redactor::add(std::string pattern) {
  if (pattern.size() < kShortest) return;
  std::vector<std::string> &same = patterns_[prefix(pattern)];
  if (std::ranges::find(same, pattern) != same.end()) return;
  starts_.set(prefix(pattern));
  longest_ = std::max(longest_, pattern.size());
  same.push_back(std::move(pattern));
}

std::size_t Redactor::match(std::string_view at) const {
  if (at.size() < kShortest || !starts_.test(prefix(at))) return 0;
  for (const std::string &pattern : patterns_.find(prefix(at))->second) {
    if (at.starts_with(pattern)) return pattern.size();
  }
  return 0;
}

bool Redactor::may_start(std::string_view at) const {
  if (at.size() >= 2) {
    if (!starts_.test(prefix(at))) return false;
    const std::vector<std::string> &same = patterns_.find(prefix(at))->second;
    return std::ranges::any_of(same,
                               [&](const auto &p) { return p.size() > at.size() && p.starts_with(at); });
  }
  return std::ranges::any_of(patterns_, [&](const auto &e) { return e.second.front()[0] == at[0]; });
}

std::size_t Redactor::piece(std::string_view input, std::string &out) const {
  if (empty()) {
    out.append(input);
    return 0;
  }
  std::size_t plain = 0;  // where the text begins that is neither masked nor copied yet
  for (std::size_t i = 0; i < input.size();) {
    const std::string_view at = input.substr(i);
    if (at.size() >= 2 && !starts_.test(prefix(at))) {
      ++i;
      continue;
    }
    // A longer secret may begin like a shorter one that is complete: wait for it.
    if (at.size() < longest_ && may_start(at)) {
      out.append(input.substr(plain, i - plain));
      return at.size();
    }
    const std::size_t length = match(at);
    if (length == 0) {
      ++i;
      continue;
    }
    out.append(input.substr(plain, i - plain)).append(kMask);
    plain = i += length;
  }
  out.append(input.substr(plain));
  return 0;
}

std::string Redactor::text(std::string_view input) const {
  std::string out;
  for (std::size_t held = piece(input, out); held > 0;) {
    // Nothing more comes, so what was held is a secret that is complete, or none.
    input = input.substr(input.size() - held);
    const std::size_t length = match(input);
    out.append(length > 0 ? kMask : input.substr(0, 1));
    input.remove_prefix(std::max<std::size_t>(length, 1));
    held = piece(input, out);
  }
  return hide_userinfo(out);
}

Value Redactor::value(const Value &from) const {
  switch (from.kind()) {
    case Value::Kind::string:
      return text(from.as_string());
    case Value::Kind::list: {
      Value::List list;
      for (const Value &item : from.as_list()) list.push_back(value(item));
      return list;
    }
    case Value::Kind::map:
      return map(from.as_map());
    default:
      return from;
  }
}

Value::Map Redactor::map(const Value::Map &from) const {
  Value::Map result;
  for (const auto &[key, item] : from) result.emplace_back(text(key), value(item));
  return result;
}

std::string StreamRedactor::add(std::string_view bytes) {
  std::string out;
  if (held_.empty()) {
    const std::size_t held = redactor_->piece(bytes, out);
    held_ = bytes.substr(bytes.size() - held);
    return out;
  }
  held_.append(bytes);
  const std::size_t held = redactor_->piece(held_, out);
  held_.erase(0, held_.size() - held);
  return out;
}

std::string StreamRedactor::finish() {
  // `text` masks what is complete; the rest stays as it is.
  return redactor_->text(std::exchange(held_, {}));
}

std::string hide_userinfo(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) break;
    const std::size_t start = scheme + 3;
    const std::size_t end = std::min(text.find_first_of("/?# \t\r\n\"'<>|\\", start), text.size());
    const std::size_t at = text.substr(0, end).rfind('@');
    out.append(text.substr(0, start));
    if (at != std::string_view::npos && at >= start) {
      // A name alone goes too: tokens are given as one.
      out.append(Redactor::kMask);
      text.remove_prefix(at);
    } else {
      text.remove_prefix(start);
    }
  }
  return out.append(text);
}

}  // namespace pipes
