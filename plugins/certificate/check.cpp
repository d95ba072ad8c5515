#include "check.hpp"

#include <fmt/core.h>

namespace certificate {
namespace {

std::string list_of(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void check_names(const Given &given, const std::vector<Host> &hosts, std::vector<Problem> &problems) {
  const Certificate &leaf = given.chain.front();
  if (!leaf.has_alternative_names()) {
    problems.push_back({fmt::format("{} has no subjectAltName; clients do not read the common name ({})",
                                    given.cert_file, leaf.subject()),
                        "issue it again with the registry's host as DNS or IP in subjectAltName"});
    return;
  }
  for (const Host &host : hosts)
    if (!leaf.is_for(host))
      problems.push_back(
          {fmt::format("{} is not for {}, but for {}", given.cert_file, host.name, list_of(leaf.names())),
           fmt::format("issue it again with {} in subjectAltName, or use a name that it has",
                       (host.is_address ? "IP:" : "DNS:") + host.name)});
}

void check_time(const Given &given, std::chrono::seconds renew_before, std::vector<Problem> &problems) {
  const Certificate &leaf = given.chain.front();
  const auto now = Clock::now();
  if (leaf.end() <= now) {
    problems.push_back(
        {fmt::format("{} expired on {}", given.cert_file, date_text(leaf.end())),
         "have it issued again, and restart the registry, which reads it only when it starts"});
  } else if (leaf.end() - now < renew_before) {
    problems.push_back({fmt::format("{} is good until {} only, less than `renew_before` from now",
                                    given.cert_file, date_text(leaf.end())),
                        "have it issued again, or give a smaller `renew_before`"});
  }
  if (leaf.begin() > now)
    problems.push_back({fmt::format("{} is good from {} on only", given.cert_file, date_text(leaf.begin())),
                        "set this machine's clock, or wait"});
}

void check_chain(const Given &given, std::vector<Problem> &problems) {
  const auto now = Clock::now();
  if (given.chain.front().end() <= now || given.chain.front().begin() > now) return;  // said already
  const std::string problem = chain_problem(given.chain, given.roots);
  if (problem.empty()) return;
  const std::string whom = given.ca_file.empty() ? "the CAs of this machine" : given.ca_file;
  problems.push_back(
      {fmt::format("{} leads to none of {}: {} (it was issued by {})", given.cert_file, whom, problem,
                   given.chain.back().issuer()),
       given.ca_file.empty()
           ? "name its CA with `ca`; intermediate certificates belong into the same file, after it"
           : "put the intermediate certificates into the same file, after its own, or name the CA "
             "that issued it"});
}

}  // namespace

std::vector<Problem> problems_of(const Given &given, const std::vector<Host> &hosts,
                                 std::chrono::seconds renew_before) {
  std::vector<Problem> problems;
  if (given.chain.empty())
    return {{fmt::format("{} holds no certificate in PEM format", given.cert_file),
             "convert it: openssl x509 -inform DER -in FILE -out NEW"}};
  if (!given.key)
    problems.push_back({fmt::format("{} holds no private key in PEM format", given.key_file),
                        "name the key's file with `key`"});
  else if (!given.chain.front().has(*given.key))
    problems.push_back(
        {fmt::format("the key {} does not belong to the first certificate of {} ({})", given.key_file,
                     given.cert_file, given.chain.front().subject()),
         "name the key that it was issued for; the server's certificate has to come first in its file"});
  if (given.chain.front().is_authority())
    problems.push_back({fmt::format("the first certificate of {} is a CA's", given.cert_file),
                        "the server's own has to come first"});
  if (!given.chain.front().may_serve())
    problems.push_back(
        {fmt::format("{} is not for servers: its extendedKeyUsage lacks serverAuth", given.cert_file),
         "have it issued again with serverAuth"});
  check_names(given, hosts, problems);
  check_time(given, renew_before, problems);
  check_chain(given, problems);
  return problems;
}

}  // namespace certificate
