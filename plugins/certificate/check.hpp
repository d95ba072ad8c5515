#pragma once
// What is wrong with a certificate that a registry is to show, in words for people.
#include "x509.hpp"

namespace certificate {

struct Problem {
  std::string what, remedy;
};

/// What is checked, with the names of the files for messages.
struct Given {
  std::string cert_file, key_file, ca_file;
  std::vector<Certificate> chain{};  // the server's first
  std::optional<Key> key{};
  std::vector<Certificate> roots{};  // empty: the system's
};

/// All that is wrong; nothing where clients will take it. `renew_before` is the time that has to be left.
std::vector<Problem> problems_of(const Given &, const std::vector<Host> &, std::chrono::seconds renew_before);

}  // namespace certificate
