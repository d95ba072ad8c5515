#pragma once
// Versions and ranges of them (semver.org 2.0.0), as tags have them.
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci::semver {

/// 1.2.3, v1.2, 3, 1.2.3-rc.1; `_` stands for the `+` of build metadata, which no tag may have.
struct Version {
  std::array<std::uint64_t, 3> numbers{};  // those left out are 0
  int given = 0;                           // how many there were
  std::vector<std::string> pre_release;    // "rc", "1"

  /// nullopt: the tag is no version.
  static std::optional<Version> parse(std::string_view tag);
  bool is_pre_release() const { return !pre_release.empty(); }
  /// Precedence (semver.org, 11): a pre-release comes before its release, build metadata does not count.
  std::strong_ordering operator<=>(const Version &) const;
  bool operator==(const Version &other) const { return (*this <=> other) == 0; }
};

/// `>=1.2 <2.0`, `^1.2`, `~1.2`, `1.x`, `!=1.3.1`; a space or comma is "and", `||` is "or". Of pre-releases
/// it has those only that one of its own versions names: `>=2.0.0-0`.
class Range {
 public:
  /// Throws sdk::Error{PIPE_E_INVALID}.
  static Range parse(std::string_view text);
  bool contains(const Version &) const;

 private:
  enum class Is { equal, different, less, at_most, more, at_least };
  struct Bound {
    Is is;
    Version version;
  };
  struct Part {  // all of its bounds hold
    std::vector<Bound> bounds;
    bool has_pre_release = false;
  };
  static void add(Part &, std::string_view text);

  std::vector<Part> parts_;
};

}  // namespace pipes::oci::semver
