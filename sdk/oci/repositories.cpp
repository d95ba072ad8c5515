#include <fmt/core.h>
#include <pipe/error.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/repositories.hpp>
#include <pipe/oci/tag_pattern.hpp>

#include <algorithm>
#include <set>

namespace pipes::oci {
namespace {

bool is_glob(const std::string &text) {
  return text.find_first_of("*?") != std::string::npos;
}

void check_name(const std::string &name) {
  try {
    const Reference parsed = Reference::parse("registry.invalid/" + name);
    if (parsed.repository == name && parsed.tag == "latest" && !parsed.digest) return;
  } catch (const sdk::Error &) {
  }
  throw sdk::Error(PIPE_E_INVALID, fmt::format("\"{}\" is no repository", name),
                   "give names as in team/app, without registry and tag, or globs as in team/*");
}

}  // namespace

std::vector<std::string> choose_repositories(Registry &registry, const std::vector<std::string> &wanted) {
  std::set<std::string> chosen;
  for (const std::string &name : wanted) {
    if (is_glob(name)) continue;
    check_name(name);
    chosen.insert(name);
  }
  if (std::ranges::any_of(wanted, is_glob))
    for (const std::string &name : registry.repositories())
      if (std::ranges::any_of(wanted, [&](const std::string &glob) { return glob_matches(glob, name); }))
        chosen.insert(name);
  return {chosen.begin(), chosen.end()};
}

}  // namespace pipes::oci
