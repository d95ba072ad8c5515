#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pipes::cli {

/// One option of a verb, for parsing and for `--help`.
struct Option {
  std::string name;      // without the dashes
  std::string argument;  // what its value is called; empty: a switch
  std::string help;
  bool optional_argument = false;      // `--name` alone means `--name=true`
  std::vector<std::string> choices{};  // all that its value may be; empty: anything
};

/// A verb's words, sorted out.
class Arguments {
 public:
  bool has(const std::string &name) const { return values_.contains(name); }
  /// The last value given.
  std::optional<std::string> value(const std::string &name) const;
  std::vector<std::string> values(const std::string &name) const;
  const std::vector<std::string> &words() const { return words_; }

 private:
  friend Arguments parse(const std::vector<Option> &, const std::vector<std::string> &);
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> words_;  // that belong to no option
};

/// Throws Error{Exit::usage} on an unknown option (with a suggestion), a missing value, a value for a
/// switch. Options are never guessed from their beginning.
Arguments parse(const std::vector<Option> &, const std::vector<std::string> &args);

/// What fits on every terminal; help is the same on all of them, and in a pipe.
inline constexpr std::size_t kHelpColumns = 80;
/// Names with what each means beside it, in as many lines as it takes.
std::string explained(const std::vector<std::pair<std::string, std::string>> &);
/// The options as `--help` lists them.
std::string describe(const std::vector<Option> &);

}  // namespace pipes::cli
