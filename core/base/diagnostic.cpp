#include "core/base/diagnostic.hpp"

#include "core/base/columns.hpp"
#include "core/base/value.hpp"
#include "core/base/words.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <tuple>

namespace pipes {
namespace {

/// Columns of a line that are shown around the caret; more would wrap.
constexpr std::size_t kWindow = 70;

/// Lines of a file, read once however many diagnostics point into it.
class Sources {
 public:
  /// nullptr: there is no such line, or the file cannot be read any more.
  const std::string *line(const std::string &file, int number) {
    auto [found, is_new] = files_.try_emplace(file);
    if (is_new) {
      std::ifstream in(file, std::ios::binary);
      for (std::string text; std::getline(in, text);) found->second.push_back(text);
    }
    if (number < 1 || static_cast<std::size_t>(number) > found->second.size()) return nullptr;
    return &found->second[static_cast<std::size_t>(number) - 1];
  }

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

/// One element for each code point, as TOML's parser counts columns. A terminal must not act on what is in a
/// file, and the reader should see that it is there.
std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> result;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
    const std::string character = printable(text.substr(at, end - at));
    result.push_back(character.empty() ? "?" : character);
    at = end;
  }
  return result;
}

std::string shown(std::string_view text) {
  return joined(characters(text), "");
}

class Human {
 public:
  explicit Human(bool color) : color_(color) {}

  std::string render(const Diagnostics &diagnostics) {
    for (const Diagnostic &d : diagnostics) {
      one(d);
      out_ += '\n';
    }
    return std::move(out_);
  }

 private:
  std::string paint(std::string_view sgr, std::string_view text) const {
    return color_ ? fmt::format("\x1b[{}m{}\x1b[0m", sgr, text) : std::string(text);
  }

  void one(const Diagnostic &d) {
    const std::string level = d.warning ? "warning" : "error";
    const std::string_view sgr = d.warning ? "1;33" : "1;31";
    out_ += paint(sgr, d.id.empty() ? level : fmt::format("{}[{}]", level, d.id));
    out_ += paint("1", ": " + shown(d.message)) + "\n";
    const std::string number = d.place.line > 0 ? std::to_string(d.place.line) : "";
    const std::string margin(number.empty() ? 2 : number.size(), ' ');
    if (!d.place.file.empty()) {
      out_ += margin + paint("1;34", "--> ") + shown(d.place.file);
      if (d.place.line > 0) out_ += fmt::format(":{}:{}", d.place.line, d.place.column);
      out_ += '\n';
      snippet(d, number, margin, sgr);
    }
    for (const std::string &note : d.notes) out_ += paint("1;36", "note") + ": " + shown(note) + "\n";
    if (!d.help.empty()) out_ += paint("1;32", "help") + ": " + shown(d.help) + "\n";
  }

  void snippet(const Diagnostic &d, const std::string &number, const std::string &margin,
               std::string_view sgr) {
    const std::string *line = d.place.line > 0 ? sources_.line(d.place.file, d.place.line) : nullptr;
    if (line == nullptr) return;
    const std::string bar = margin + paint("1;34", " |");
    out_ += bar + "\n" + paint("1;34", number + " |") + " ";
    if (d.hide_line) {
      out_ += "*** (this line holds a secret and is not shown)\n" + bar + "\n";
      return;
    }
    const std::vector<std::string> text =
        characters(std::string_view(*line).substr(0, line->size() - (line->ends_with('\r') ? 1 : 0)));

    auto column = static_cast<std::size_t>(std::max(d.place.column, 1)) - 1;
    column = std::min(column, text.size());
    const std::size_t begin = text.size() <= kWindow || column < kWindow / 2 ? 0 : column - kWindow / 2;
    const std::size_t end = std::min(text.size(), begin + kWindow);
    const auto length = static_cast<std::size_t>(std::max(d.place.length, 1));
    const auto part = [&](std::size_t from, std::size_t to) {
      return joined({text.begin() + static_cast<std::ptrdiff_t>(from),
                     text.begin() + static_cast<std::ptrdiff_t>(std::min(to, end))},
                    "");
    };
    const std::string padding(width(part(begin, column)) + (begin > 0 ? 1 : 0), ' ');
    std::string caret(std::max<std::size_t>(width(part(column, column + length)), 1), '^');
    if (!d.label.empty()) caret += " " + shown(d.label);
    out_ += (begin > 0 ? "…" : "") + part(begin, end) + (end < text.size() ? "…" : "") + "\n" + bar + " " +
            padding + paint(sgr, caret) + "\n";
    if (!d.notes.empty() || !d.help.empty()) out_ += bar + "\n";
  }

  bool color_;
  std::string out_;
  Sources sources_;
};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char &c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`; more than `limit` is limit + 1.
std::size_t distance(const std::string &a, const std::string &b, std::size_t limit) {
  const std::size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap > limit) return limit + 1;
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    std::size_t best = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
      best = std::min(best, row[j]);
    }
    if (best > limit) return limit + 1;
    before.swap(last);
    last.swap(row);
  }
  return std::min(last[b.size()], limit + 1);
}

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

std::string render_human(const Diagnostics &diagnostics, bool color) {
  return Human(color).render(diagnostics);
}

std::string render_short(const Diagnostics &diagnostics) {
  std::string out;
  for (const Diagnostic &d : diagnostics) {
    std::string place = d.place.file;
    if (d.place.line > 0) place += fmt::format(":{}:{}", d.place.line, d.place.column);
    const std::string id = d.id.empty() ? "" : "[" + d.id + "]";
    out += shown(fmt::format("{}: {}{}: {}", place, d.warning ? "warning" : "error", id, d.message)) + "\n";
  }
  return out;
}

std::string render_json(const Diagnostics &diagnostics) {
  std::string out = "[";
  for (const Diagnostic &d : diagnostics) {
    Value::List notes(d.notes.begin(), d.notes.end());
    out += out.size() > 1 ? ",\n" : "\n";
    out += to_json(Value::Map{{"level", d.warning ? "warning" : "error"},
                              {"id", d.id},
                              {"message", d.message},
                              {"file", d.place.file},
                              {"line", d.place.line},
                              {"column", d.place.column},
                              {"length", d.place.length},
                              {"label", d.label},
                              {"notes", std::move(notes)},
                              {"help", d.help}});
  }
  return out + "\n]\n";
}

std::string summarize(const Diagnostics &diagnostics) {
  const auto warnings = static_cast<std::size_t>(
      std::count_if(diagnostics.begin(), diagnostics.end(), [](const Diagnostic &d) { return d.warning; }));
  return counted(diagnostics.size() - warnings, "error") + ", " + counted(warnings, "warning");
}

bool has_errors(const Diagnostics &diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic &d) { return !d.warning; });
}

void sort_diagnostics(Diagnostics &diagnostics) {
  const auto key = [](const Diagnostic &d) {
    return std::tie(d.place.file, d.place.line, d.place.column, d.warning);
  };
  std::stable_sort(diagnostics.begin(), diagnostics.end(),
                   [&](const Diagnostic &a, const Diagnostic &b) { return key(a) < key(b); });
  const auto same = [&](const Diagnostic &a, const Diagnostic &b) {
    return key(a) == key(b) && a.message == b.message;
  };
  diagnostics.erase(std::unique(diagnostics.begin(), diagnostics.end(), same), diagnostics.end());
}

std::string closest(std::string_view word, const std::vector<std::string> &choices) {
  const std::string wanted = lower(word);
  // Fewer edits than it has letters: otherwise every word of one letter would be meant.
  std::size_t best = std::min(std::max<std::size_t>(1, wanted.size() / 3) + 1, wanted.size());
  const std::string *found = nullptr;
  for (const std::string &choice : choices) {
    const std::size_t edits = distance(wanted, lower(choice), best - 1);
    if (edits < best) {
      best = edits;
      found = &choice;
      if (best == 0) break;
    }
  }
  return found == nullptr ? std::string() : *found;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string> &choices) {
  const std::string found = closest(word, choices);
  return found.empty() ? found : fmt::format("did you mean `{}`?", found);
}

}  // namespace pipes
