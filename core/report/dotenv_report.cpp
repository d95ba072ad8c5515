#include "core/report/report.hpp"
#include "core/run/resumption.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace pipes {
namespace {

std::string variable_name(std::string name) {
  for (char &c : name) {
    if (c >= 'a' && c <= 'z') {
      c = static_cast<char>(c - 'a' + 'A');
    } else if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) {
      c = '_';
    }
  }
  return name;
}

/// A later job would no longer find its programs, its shell or its server.
bool is_taken(std::string_view name) {
  static constexpr std::string_view kTaken[]{"BASH_ENV", "CI", "ENV", "HOME", "IFS", "PATH", "PWD", "SHELL"};
  static constexpr std::string_view kBegins[]{"CI_", "GITLAB_", "LD_"};
  return std::ranges::find(kTaken, name) != std::end(kTaken) ||
         std::ranges::any_of(kBegins, [name](std::string_view with) { return name.starts_with(with); });
}

/// Why GitLab would not take the value as it is; empty: it does.
std::string_view obstacle(const std::string &name, const Value &value) {
  const std::string text = to_text(value);
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  if (is_taken(name)) return "a variable of that name has a meaning in jobs";
  if (has_masked({{name, value}})) return "it is secret";
  if (text.find_first_of("\r\n") != std::string::npos) return "it has several lines";
  if (text.find('$') != std::string::npos) return "GitLab would replace what follows its `$`";
  if (!text.empty() && (is_space(text.front()) || is_space(text.back())))
    return "GitLab would drop the space around it";
  return {};
}

}  // namespace

void DotenvReport::on(const Event &e) {
  if (e.type == Event::Type::run_ended && e.status == "ok") outputs_ = e.fields;
}

void DotenvReport::leave_out(const std::string &output, std::string_view why) {
  remarks_.push_back(fmt::format("output `{}` is not in the dotenv file: {}", output, why));
}

void DotenvReport::finish() {
  std::map<std::string, std::string> taken;  // name to output
  for (const auto &[output, value] : outputs_) {
    const std::string name = variable_name(output);
    const auto [other, is_new] = taken.try_emplace(name, output);
    if (!is_new) {
      leave_out(output, fmt::format("`{}` is called {} there, too", other->second, name));
    } else if (const std::string_view why = obstacle(name, value); !why.empty()) {
      leave_out(output, why);
    } else {
      file_.write(fmt::format("{}={}\n", name, to_text(value)));
    }
  }
  file_.finish();
}

}  // namespace pipes
