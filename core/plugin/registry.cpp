#include "core/plugin/registry.hpp"

#include "core/base/error.hpp"
#include "core/base/prefix.hpp"

#include <pipe/plugin.h>

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace pipes {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "pipe-", kSuffix = ".so";

/// `pull` of /…/pipe-pull.so; empty: not named like a plugin.
std::string plugin_name(const fs::path &path) {
  const std::string file = path.filename().string();
  if (file.size() <= kPrefix.size() + kSuffix.size() || !file.starts_with(kPrefix) ||
      !file.ends_with(kSuffix)) {
    return {};
  }
  return file.substr(kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size());
}

/// A step's name becomes part of a file name, so nothing in it may lead elsewhere.
bool is_step_name(const std::string &name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

/// Sets `problem` if this pipe cannot speak with what the file was built for.
void check_abi(PluginFile &file, const StepSchema &step) {
  if (step.abi_major == PIPE_ABI_MAJOR && step.abi_minor <= PIPE_ABI_MINOR) return;
  file.problem = fmt::format("plugin `{}` ({}) needs pipe ABI {}.{}; this pipe {} provides {}.{}", step.step,
                             file.path.string(), step.abi_major, step.abi_minor, PIPE_VERSION, PIPE_ABI_MAJOR,
                             PIPE_ABI_MINOR);
  file.hint = step.abi_major < PIPE_ABI_MAJOR ? "rebuild the plugin with the SDK of this pipe"
                                              : "update pipe or rebuild the plugin with an older SDK";
}

PluginFile read_file(const fs::path &path) {
  PluginFile file;
  file.path = path;
  try {
    file.steps = parse_metadata(read_metadata_section(path));
  } catch (const Error &e) {
    const bool names_file = e.message.find(path.string()) != std::string::npos;
    file.problem = names_file ? e.message : fmt::format("plugin file {}: {}", path.string(), e.message);
    file.hint = e.hint;
    return file;
  }
  const std::string name = plugin_name(path);
  const auto is_named = [&](const StepSchema &step) { return step.step == name; };
  if (std::none_of(file.steps.begin(), file.steps.end(), is_named)) {
    file.problem = fmt::format("plugin file {} holds the step `{}`, which its name does not say",
                               path.string(), file.steps.front().step);
    file.hint = fmt::format("rename it to pipe-{}.so", file.steps.front().step);
  }
  for (const StepSchema &step : file.steps) {
    if (file.problem.empty()) check_abi(file, step);
  }
  return file;
}

const StepSchema *step_of(const PluginFile &file, const std::string &name) {
  const auto found = std::find_if(file.steps.begin(), file.steps.end(),
                                  [&](const StepSchema &step) { return step.step == name; });
  return found == file.steps.end() ? nullptr : &*found;
}

void add_folders(std::vector<fs::path> &folders, std::string_view joined) {
  while (!joined.empty()) {
    const std::size_t end = std::min(joined.find(':'), joined.size());
    // An empty element would be the current folder: plugins never come from there unasked.
    if (end > 0) folders.emplace_back(joined.substr(0, end));
    joined.remove_prefix(std::min(end + 1, joined.size()));
  }
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

}  // namespace

PluginRegistry::PluginRegistry(std::vector<fs::path> folders) : folders_(std::move(folders)) {}

std::vector<fs::path> PluginRegistry::default_folders(const std::vector<std::string> &from_cli) {
  std::vector<fs::path> folders(from_cli.begin(), from_cli.end());
  add_folders(folders, environment("PIPE_PLUGIN_PATH"));
  const std::string data = environment("XDG_DATA_HOME"), home = environment("HOME");
  if (data.starts_with('/')) {
    folders.push_back(fs::path(data) / "pipe/plugins");
  } else if (!home.empty()) {
    folders.push_back(fs::path(home) / ".local/share/pipe/plugins");
  }
  folders.push_back(install_prefix() / PIPE_LIBDIR / "pipe/plugins");
  return folders;
}

PluginRegistry::Found PluginRegistry::find(const std::string &step) {
  if (!is_step_name(step)) return {};
  auto known = by_name_.find(step);
  if (known == by_name_.end()) {
    for (const fs::path &folder : folders_) {
      const fs::path path = folder / fmt::format("{}{}{}", kPrefix, step, kSuffix);
      struct stat info {};
      if (::lstat(path.c_str(), &info) != 0) continue;
      known = by_name_.emplace(step, read_file(path)).first;
      break;
    }
  }
  if (known == by_name_.end()) {
    // A file may hold several steps, and only one of them is in its name.
    for (const PluginFile &file : all()) {
      if (!file.shadowed && file.problem.empty() && step_of(file, step) != nullptr) {
        known = by_name_.emplace(step, file).first;
        break;
      }
    }
  }
  if (known == by_name_.end()) return {};
  const PluginFile &file = known->second;
  if (!file.problem.empty()) return {nullptr, file.path, file.problem, file.hint};
  return {step_of(file, step), file.path, {}, {}};
}

void PluginRegistry::add(PluginFile file) {
  for (const StepSchema &step : file.steps) by_name_.insert_or_assign(step.step, file);
  all_.push_back(std::move(file));
}

const std::vector<PluginFile> &PluginRegistry::all() {
  if (scanned_) return all_;
  scanned_ = true;
  std::set<std::string> seen;
  for (const fs::path &folder : folders_) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      if (!plugin_name(entry->path()).empty()) paths.push_back(entry->path());
    }
    std::sort(paths.begin(), paths.end());
    for (const fs::path &path : paths) {
      all_.push_back(read_file(path));
      all_.back().shadowed = !seen.insert(plugin_name(path)).second;
    }
  }
  return all_;
}

std::vector<std::string> PluginRegistry::names() {
  std::set<std::string> names;
  for (const PluginFile &file : all()) {
    for (const StepSchema &step : file.steps) names.insert(step.step);
  }
  return {names.begin(), names.end()};
}

}  // namespace pipes
