#pragma once
// Every setting of CNCF Distribution that can be written as a name and a value, and which versions have it.
#include <string>
#include <string_view>
#include <vector>

namespace config {

enum class Kind { text, boolean, integer, duration, list };

/// One setting by its place in the configuration: "http.draintimeout".
struct Name {
  std::string_view path;
  Kind kind = Kind::text;
  int first = 2, last = 3;     // the major versions that have it
  bool secret = false;         // never shown
  std::string_view param{};    // the parameter that sets it; `settings` does not take it then
  std::string_view instead{};  // for people, where a version has it no more
};

/// All of them, in the order that a file has them in. A last part "*" stands for any word.
const std::vector<Name> &all_names();

/// The setting of that path, whichever version has it; nullptr if none does.
const Name *find_name(std::string_view path);

/// The setting of that path. Throws sdk::Error{PIPE_E_INVALID} where this version has none of that name,
/// with the name that was probably meant, or where it went.
const Name &name_of(std::string_view path, int version);

/// Whether what is at that path of some file may not be shown: secrets, and whatever is not known.
bool is_secret(std::string_view path);

}  // namespace config
