#include <fmt/core.h>
#include <pipe/oci/attached.hpp>

namespace pipes::oci {

namespace {

// A tag has 128 characters at most: of a longer digest the rest is cut off.
constexpr std::size_t kTagHex = 64;
constexpr std::string_view kList = ".list";

}  // namespace

std::string fallback_tag(const Digest &subject) {
  return fmt::format("{}-{}", subject.algorithm(), subject.hex().substr(0, kTagHex));
}

bool is_attached_tag(std::string_view tag) {
  const std::size_t dash = tag.find('-');
  if (dash == std::string_view::npos) return false;
  const std::string_view rest = tag.substr(dash + 1);
  const std::string_view hex = rest.substr(0, rest.find('.'));
  const std::string_view algorithm = tag.substr(0, dash);
  return (algorithm == "sha256" || algorithm == "sha512") && hex.size() == kTagHex &&
         hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string list_name(const std::string &repository, const Digest &subject) {
  return fmt::format("{}:{}{}", repository, fallback_tag(subject), kList);
}

bool is_list_name(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  return colon != std::string_view::npos && name.ends_with(kList) && is_attached_tag(name.substr(colon + 1));
}

}  // namespace pipes::oci
