#pragma once
// Problems in a file, each with its place.
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// 1-based; `length` is what the caret underlines.
struct Place {
  std::string file;
  int line = 0, column = 0, length = 1;
};

struct Diagnostic {
  bool warning = false;
  std::string id;       // "unknown-key", for tools and docs
  std::string message;  // lower case, no full stop
  Place place;
  std::string label;  // under the caret, may be empty
  std::vector<std::string> notes;
  std::string help;        // "did you mean `image`?"
  bool hide_line = false;  // the line holds a secret
};

using Diagnostics = std::vector<Diagnostic>;

/// The form of rustc: message, place, the line with a caret, notes, help. The lines are read from the
/// files named; `color` uses SGR. Control characters of the file never reach the terminal.
std::string render_human(const Diagnostics &, bool color);
/// A JSON array, one object a line: level, id, message, file, line, column, length, label, notes, help.
std::string render_json(const Diagnostics &);
/// `file:line:column: level[id]: message`, one a line.
std::string render_short(const Diagnostics &);
/// "1 error, 0 warnings".
std::string summarize(const Diagnostics &);
/// By file, line and column; errors before warnings at one place; what is said twice is said once.
void sort_diagnostics(Diagnostics &);
bool has_errors(const Diagnostics &);
/// The closest of `choices` within a small edit distance, or empty.
std::string closest(std::string_view word, const std::vector<std::string> &choices);
/// "did you mean `x`?" or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string> &choices);

}  // namespace pipes
