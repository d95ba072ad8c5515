#pragma once
// Which repositories of a registry are meant.
#include <pipe/oci/registry.hpp>

#include <string>
#include <vector>

namespace pipes::oci {

/// Names, and globs (`team/*`: `*` is any text, also over a `/`, `?` any character) that the registry's
/// catalogue is asked for, once. Sorted, each once. A name is taken as it is. Throws what
/// Registry::repositories throws, and PIPE_E_INVALID for what no repository can be called.
std::vector<std::string> choose_repositories(Registry &, const std::vector<std::string> &wanted);

}  // namespace pipes::oci
