#include "core/report/github.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace pipes {
namespace {

constexpr std::string_view kError = "error", kWarning = "warning";

std::string escaped(std::string_view text, bool is_property) {
  std::string out;
  for (const char c : text) {
    const bool special = c == '%' || c == '\r' || c == '\n' || (is_property && (c == ':' || c == ','));
    if (special) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string out;
  for (std::size_t at = 0; (at = text.find(what)) != std::string_view::npos;) {
    out.append(text.substr(0, at)).append(by);
    text.remove_prefix(at + what.size());
  }
  return out.append(text);
}

/// As GitHub knows a file: by its path in the repository that was checked out.
std::string path_in_repository(const std::string &file) {
  const char *workspace = std::getenv("GITHUB_WORKSPACE");
  if (file.empty() || workspace == nullptr || *workspace == '\0') return file;
  std::error_code none;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(file, none);
  const std::filesystem::path inside =
      whole.lexically_relative(std::filesystem::weakly_canonical(workspace, none));
  return inside.empty() || inside.begin()->string() == ".." ? file : inside.string();
}

std::string number(std::int64_t value) {
  return value > 0 ? fmt::format("{}", value) : std::string();
}

std::string annotation(const Diagnostic &d) {
  std::string message = d.message;
  for (const std::string &note : d.notes) message += "\n" + note;
  if (!d.help.empty()) message += "\n" + d.help;
  const int end = d.place.length > 1 ? d.place.column + d.place.length : 0;
  return workflow_command(d.warning ? kWarning : kError,
                          {{"file", path_in_repository(d.place.file)},
                           {"line", number(d.place.line)},
                           {"col", number(d.place.column)},
                           {"endColumn", number(end)},
                           {"title", d.id}},
                          printable(message));
}

}  // namespace

std::string workflow_command(std::string_view name, const Properties &properties, std::string_view data) {
  std::string out = fmt::format("::{}", name);
  const char *separator = " ";
  for (const auto &[key, value] : properties) {
    if (value.empty()) continue;
    out += fmt::format("{}{}={}", separator, key, escaped(value, true));
    separator = ",";
  }
  return out + fmt::format("::{}\n", escaped(data, false));
}

std::string without_commands(std::string_view text) {
  std::string out;
  bool is_start = true;  // of a line, but for space
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::string_view rest = text.substr(i);
    if (is_start && rest.starts_with("::")) {
      out += ": ";
    } else if (rest.starts_with("##[")) {
      out += "## ";
      ++i;
    } else {
      out.push_back(c);
    }
    // Some of what is not ASCII is space to the runner, too.
    if (c == '\n' || c == '\r') {
      is_start = true;
    } else if (static_cast<unsigned char>(c) < 0x80 && c != ' ' && c != '\t' && c != '\v' && c != '\f') {
      is_start = false;
    }
  }
  return out;
}

std::string json_without_commands(std::string_view text) {
  return replaced(text, "##[", "#\\u0023[");
}

std::string annotations(const Diagnostics &diagnostics) {
  std::string out;
  for (const bool warnings : {false, true}) {
    int count = 0;
    for (const Diagnostic &d : diagnostics) {
      if (d.warning == warnings && count++ < kMostAnnotations) out += annotation(d);
    }
    if (count > kMostAnnotations) {
      out += fmt::format("{} of {} {} are annotated: GitHub shows no more\n", kMostAnnotations, count,
                         warnings ? "warnings" : "errors");
    }
  }
  return out;
}

void GithubAnnotations::annotate(std::string_view level, const Event &e, const std::string &title,
                                 const std::string &message) {
  if (++count_[level] > kMostAnnotations) return;
  const auto line = lines_.find(e.step);
  out_.write(workflow_command(
      level, {{"file", file_}, {"line", number(line == lines_.end() ? 0 : line->second)}, {"title", title}},
      printable(message)));
}

void GithubAnnotations::on(const Event &e) {
  switch (e.type) {
    case Event::Type::run_started:
      file_ = path_in_repository(e.file);
      for (const Value &step : e.steps) {
        const Value *id = step.find("id"), *line = step.find("line");
        if (id != nullptr && line != nullptr) lines_[id->as_string()] = line->as_int();
      }
      return;
    case Event::Type::log:
      if (e.level == 3) warned_[e.step].push_back(e.message);
      return;
    case Event::Type::step_ended:
      for (const std::string &message : warned_[e.step]) annotate(kWarning, e, e.step, message);
      warned_.erase(e.step);
      if (e.failure && e.state == NodeResult::State::failed) {
        annotate(kError, e, e.step + " failed",
                 e.failure->message + (e.failure->hint.empty() ? "" : "\n" + e.failure->hint));
      }
      return;
    case Event::Type::notice:
      annotate(e.level >= 4 ? kError : kWarning, e, "", e.message + (e.hint.empty() ? "" : "\n" + e.hint));
      return;
    default:
      return;
  }
}

}  // namespace pipes
