#include "core/cli/run_name.hpp"

#include "core/base/error.hpp"
#include "core/cli/session.hpp"
#include "core/pipeline/source.hpp"

#include <fmt/core.h>

namespace pipes::cli {

namespace fs = std::filesystem;

std::optional<fs::path> file_named(const std::string &word) {
  if (word.find('/') == std::string::npos && !word.ends_with(".toml")) return std::nullopt;
  std::string file = pipeline_file(word);
  Source::read(file);  // knows which one may be meant
  return file;
}

bool is_of(const RunRecord &record, const fs::path &file) {
  std::error_code none;
  return !record.file.empty() && fs::equivalent(fs::path(record.started_in) / record.file, file, none);
}

fs::path run_named(const std::string &word) {
  const auto file = file_named(word);
  if (!file) return find_run(word);
  for (const fs::path &folder : run_folders())
    if (is_of(run_record(folder), *file)) return folder;
  throw Error(Exit::usage, fmt::format("no run of {} is on record", file->string()),
              fmt::format("`pipe run {}` makes one", file->string()));
}

}  // namespace pipes::cli
