#pragma once
// The word for a run on a command line.
#include "core/report/history.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace pipes::cli {

/// The pipeline file that a word names, by a path or by .toml at its end; nullopt: it is another name. Throws
/// Error with the file that may be meant if there is no such file.
std::optional<std::filesystem::path> file_named(const std::string &word);
/// Whether a run was of that file.
bool is_of(const RunRecord &, const std::filesystem::path &file);
/// The run that is meant: as find_run has it, or the last one of a pipeline file. Throws Error.
std::filesystem::path run_named(const std::string &word);

}  // namespace pipes::cli
