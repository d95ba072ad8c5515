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
  std::string label;    // under the caret, may be empty
  std::vector<std::string> notes;
  std::string help;     // "did you mean `image`?"
  bool hide_line = false;  // the line holds a secret
};

using Diagnostics = std::vector<Diagnostic>;

/// The form of rustc: message, place, the line with a caret, notes, help. `sources` are read from the
/// files named; `color` uses SGR.
std::string render_human(const Diagnostics &, bool color);
std::string render_json(const Diagnostics &);
/// The closest of `choices` within a small edit distance, or empty.
std::string closest(std::string_view word, const std::vector<std::string> &choices);
/// "did you mean `x`?" or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string> &choices);

}  // namespace pipes
