#include "core/cli/verb.hpp"

#include "core/base/columns.hpp"
#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/print.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace pipes::cli {
namespace {

std::string usage_text(const Verb &verb) {
  return fmt::format("usage: pipe {}{}{}", verb.name, *verb.usage == '\0' ? "" : " ", verb.usage);
}

}  // namespace

const Verb *find_verb(Verbs verbs, const std::string &name) {
  const auto at = std::ranges::find_if(verbs, [&](const Verb *verb) { return name == verb->name; });
  return at == verbs.end() ? nullptr : *at;
}

void reject_verb(Verbs verbs, const std::string &name, const std::string &lists_them) {
  std::vector<std::string> names;
  for (const Verb *verb : verbs) names.emplace_back(verb->name);
  const std::string close = did_you_mean(name, names);
  throw Error(Exit::usage, fmt::format("there is no verb `{}`", name),
              close.empty() ? fmt::format("`{}` lists them", lists_them) : close);
}

std::string list_text(Verbs verbs) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const Verb *verb : verbs) entries.emplace_back(verb->name, verb->summary);
  return explained(entries);
}

std::string wrapped_usage(const std::string &name, std::string_view words) {
  constexpr char kStays = '\1';  // a space between brackets, where no line ends
  std::string held(words);
  int depth = 0;
  for (char &c : held) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ' ' && depth > 0) c = kStays;
  }
  const std::string begin = fmt::format("usage: pipe {} ", name);
  std::string text = begin + wrapped(held, kHelpColumns, begin.size());
  std::ranges::replace(text, kStays, ' ');
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string help_paragraphs(std::string_view text) {
  std::string out, open;
  const auto close = [&] {
    if (!open.empty()) out += wrapped(std::exchange(open, {}), kHelpColumns) + "\n";
  };
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty() && !line.starts_with("  ")) {
      open.append(line).append(" ");
      continue;
    }
    close();
    out.append(line).append("\n");
  }
  close();
  return out;
}

std::optional<Arguments> arguments(const Verb &verb, const Words &words) {
  std::vector<Option> options = verb.options();
  options.push_back({"help", "", "Show this"});
  Arguments parsed = parse(options, words);
  if (!parsed.has("help")) return parsed;
  print(help_text(verb));
  return std::nullopt;
}

const Words &words_of(const Arguments &arguments, const Verb &verb, std::size_t least, std::size_t most) {
  const Words &words = arguments.words();
  if (words.size() < least)
    throw Error(Exit::usage, fmt::format("`pipe {}` needs more words", verb.name), usage_text(verb));
  if (words.size() > most)
    throw Error(Exit::usage, fmt::format("`{}` is one word too many for `pipe {}`", words[most], verb.name),
                usage_text(verb));
  return words;
}

std::string help_text(const Verb &verb) {
  std::vector<Option> options = verb.options();
  options.push_back({"help", "", "Show this"});
  return fmt::format("{}\n\n{}\noptions:\n{}", wrapped_usage(verb.name, verb.usage),
                     help_paragraphs(verb.about), describe(options));
}

}  // namespace pipes::cli
