#include "core/cli/man.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

namespace pipes::cli {
namespace {

/// Text without a meaning of its own to the formatter; what stands in backquotes becomes bold.
std::string escaped(std::string_view text) {
  std::string out;
  bool bold = false;
  for (char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '`') {
      bold = !bold;
      out += bold ? "\\fB" : "\\fR";
    } else {
      out += c;
    }
  }
  return bold ? out + "\\fR" : out;
}

/// A line that begins with a dot or an apostrophe would be a request.
std::string line(std::string_view text) {
  const std::string out = escaped(text);
  return (out.starts_with('.') || out.starts_with('\'') ? "\\&" : "") + out + "\n";
}

/// Paragraphs; lines that are indented are examples, and kept as they are.
std::string paragraphs(std::string_view text) {
  std::string out;
  bool example = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view now = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool indented = now.starts_with("  ");
    if (indented != example && !(example && now.empty())) {
      out += indented ? (out.ends_with(".PP\n") ? ".EX\n" : ".PP\n.EX\n") : ".EE\n";
      example = indented;
    }
    out += now.empty() ? (example ? "\n" : ".PP\n") : line(now);
  }
  return out + (example ? ".EE\n" : "");
}

std::string dashed(std::string name) {
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string head(const std::string &name, std::string_view summary) {
  std::string upper = dashed(name);
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return fmt::format(".TH {} 1 \"\" \"pipe {}\" \"pipe\"\n.SH NAME\n{} \\- {}", upper, PIPE_VERSION,
                     escaped(dashed(name)), line(summary));
}

std::string full_name(const Verb &verb) {
  return fmt::format("pipe {}", verb.name);
}

void write(const std::filesystem::path &folder, const std::string &name, const std::string &page) {
  const std::filesystem::path path = folder / (dashed(name) + ".1");
  std::ofstream file(path);
  file << page;
  file.close();
  if (!file)
    throw Error(Exit::usage, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

std::string man_page(const Verb &verb) {
  std::string out = head(full_name(verb), verb.summary);
  out += fmt::format(".SH SYNOPSIS\n.B {}\n{}.SH DESCRIPTION\n{}", escaped(full_name(verb)),
                     *verb.usage == '\0' ? "" : line(verb.usage), paragraphs(verb.about));
  const std::vector<Option> options = verb.options();
  if (!options.empty()) out += ".SH OPTIONS\n";
  for (const Option &option : options) {
    out += fmt::format(".TP\n.B {}{}\n{}", escaped("--" + option.name),
                       option.argument.empty() ? "" : " \\fI" + escaped(option.argument) + "\\fR",
                       line(option.help));
  }
  return out + ".SH SEE ALSO\n.BR pipe (1)\n";
}

std::string man_page(const Overview &overview, Verbs verbs) {
  std::string out = head(overview.name, overview.summary);
  out += fmt::format(".SH SYNOPSIS\n.B {}\nVERB \\[u2026]\n.SH DESCRIPTION\n{}.SH VERBS\n",
                     escaped(overview.name),
                     paragraphs(overview.about.empty() ? overview.summary + "." : overview.about));
  for (const Verb *verb : verbs)
    out += fmt::format(".TP\n.BR {} (1)\n{}", escaped(dashed(full_name(*verb))), line(verb->summary));
  return out;
}

void write_man_page(const std::filesystem::path &folder, const Verb &verb) {
  write(folder, full_name(verb), man_page(verb));
}

void write_man_pages(const std::filesystem::path &folder, const Overview &overview, Verbs verbs) {
  write(folder, overview.name, man_page(overview, verbs));
  for (const Verb *verb : verbs) {
    if (*verb->about != '\0') write_man_page(folder, *verb);
  }
}

}  // namespace pipes::cli
