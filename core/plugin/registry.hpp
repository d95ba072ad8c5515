#pragma once
// Finds plugins and reads their metadata without running any of their code.
#include "core/schema/schema.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace pipes {

struct PluginFile {
  std::filesystem::path path;
  std::vector<StepSchema> steps;
  std::string problem;  // why it cannot be used; empty: fine
  std::string hint;
  bool shadowed = false;  // an earlier folder has one of the same name
};

class PluginRegistry {
 public:
  /// Folders in order of precedence: --plugin-path, $PIPE_PLUGIN_PATH, $XDG_DATA_HOME/pipe/plugins,
  /// <prefix>/lib/pipe/plugins. Nothing is read yet.
  explicit PluginRegistry(std::vector<std::filesystem::path> folders);
  static std::vector<std::filesystem::path> default_folders(const std::vector<std::string> &from_cli);

  struct Found {
    const StepSchema *schema = nullptr;
    std::filesystem::path path;
    std::string problem, hint;  // set when it exists but cannot be used
  };
  /// The step of that name: `pipe-<name>.so` in the first folder that has it. schema == nullptr and
  /// problem empty: there is none.
  Found find(const std::string &step);
  /// A plugin that is known without reading a file.
  void add(PluginFile);
  /// Every file in every folder, for `pipe plugins list` and did-you-mean.
  const std::vector<PluginFile> &all();
  std::vector<std::string> names();
  const std::vector<std::filesystem::path> &folders() const { return folders_; }

 private:
  std::vector<std::filesystem::path> folders_;
  std::map<std::string, PluginFile> by_name_;
  std::vector<PluginFile> all_;
  bool scanned_ = false;
};

/// The contents of section `pipemeta`; throws pipes::Error{Exit::plugin}: not ELF, another machine,
/// truncated, no such section, not a regular file, writable by others. Uses libelf; runs nothing.
std::string read_metadata_section(const std::filesystem::path &);

}  // namespace pipes
