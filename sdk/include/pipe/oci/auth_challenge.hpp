#pragma once
// WWW-Authenticate (RFC 9110, section 11.6.1).
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

/// One way to authenticate that a server offers.
struct Challenge {
  std::string scheme;                         // lower case: "basic", "bearer"
  std::map<std::string, std::string> params;  // names in lower case, quotes taken off
  /// The value of a parameter, or empty.
  std::string get(const std::string &name) const;
};

/// Reads all challenges of one header. Commas inside quotes stay where they are (scopes have them);
/// what makes no sense is passed over.
std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace pipes::oci
