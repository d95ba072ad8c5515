#pragma once
// What a plugin says of itself, as text, JSON and Markdown.
#include "core/plugin/registry.hpp"

#include <string>
#include <vector>

namespace pipes::cli {

std::string plugins_text(const std::vector<PluginFile> &);
std::string plugins_json(const std::vector<PluginFile> &);
std::string step_text(const StepSchema &, const std::string &path);
std::string step_json(const StepSchema &, const std::string &path);
/// docs/reference/steps/NAME.md.
std::string step_markdown(const StepSchema &);

}  // namespace pipes::cli
