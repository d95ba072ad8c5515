#pragma once
// Masks secrets in all that is shown or kept (pipeline-runners.md, section 3).
#include "core/base/value.hpp"

#include <array>
#include <bitset>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pipes {

/// Masks secrets as they are, line by line, and in the base64, URL and JSON forms by which they get into
/// logs. Empty secrets are ignored, and values too short to be told from other text: `warnings` says so.
class Redactor {
 public:
  static constexpr std::string_view kMask = "***";

  Redactor() = default;
  explicit Redactor(const std::vector<std::string> &secrets);

  /// With all secrets masked, and the user part of URLs.
  std::string text(std::string_view) const;
  Value value(const Value &) const;
  Value::Map map(const Value::Map &) const;
  /// Only the secrets, in a piece of a stream: appends to `out` what is final, and returns how many bytes
  /// at the end of `input` may be the start of a secret that the next piece completes.
  std::size_t piece(std::string_view input, std::string &out) const;

  bool empty() const { return patterns_.empty(); }
  /// What people should know about secrets that cannot be masked. Names no value.
  const std::vector<std::string> &warnings() const { return warnings_; }

 private:
  void add(std::string pattern);
  /// How long the longest secret is that starts here; 0: none.
  std::size_t match(std::string_view at) const;
  bool may_start(std::string_view at) const;

  // By their first two bytes, the longest first. Every pattern has four at least.
  std::unordered_map<std::uint16_t, std::vector<std::string>> patterns_;
  std::bitset<1U << 16> starts_;
  std::size_t longest_ = 0;
  std::vector<std::string> warnings_;
};

/// Masks one stream, across the borders of the pieces it comes in.
class StreamRedactor {
 public:
  explicit StreamRedactor(const Redactor &redactor) : redactor_(&redactor) {}
  /// What of the stream is final now.
  std::string add(std::string_view bytes);
  /// The rest, at the end.
  std::string finish();

 private:
  const Redactor *redactor_;
  std::string held_;
};

/// `https://user:password@host/x` as `https://***@host/x`.
std::string hide_userinfo(std::string_view text);

}  // namespace pipes
