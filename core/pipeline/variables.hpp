#pragma once
#include "core/pipeline/pipeline.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pipes {

/// The values of the pipeline's variables, in their order; nullopt: there is none yet.
/// Precedence: `set` (--set name=value) over the environment variable that the file names, over the
/// later of `files` (TOML, name = value), over the default. A list or map may be set several times.
/// What is wrong, or unknown, or missing although `must_be_set`, is added to `diagnostics`.
std::vector<std::optional<Value>> resolve_variables(
    const Pipeline &, const std::vector<std::pair<std::string, std::string>> &set,
    const std::vector<std::string> &files, bool must_be_set, Diagnostics &diagnostics);

/// The values of the secrets that are `wanted`, in the pipeline's order, from the first source that has
/// one; nullopt: not wanted, or nowhere, which is an error unless it is optional, and only a warning where
/// they need not be there. One newline at the end is not part of a secret.
std::vector<std::optional<std::string>> resolve_secrets(const Pipeline &, const std::vector<bool> &wanted,
                                                        bool must_be_there, Diagnostics &diagnostics);
/// A secret that is kept in a file; nullopt: there is no such file. Throws Error, which does not name it.
std::optional<std::string> read_secret_file(const std::string &path);

}  // namespace pipes
