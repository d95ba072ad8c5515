#pragma once
// Reads the members of a table, and says of each that is wrong what is wrong with it. For .cpp files of
// this folder only.
#include "core/pipeline/tree.hpp"
#include "core/schema/schema.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// What a key of the file's own takes, so that it is checked as a parameter of a step is.
Param make_param(std::string name, Type type, std::optional<std::int64_t> minimum = std::nullopt);

/// A member that the caller may change; nullptr if absent or not a map.
Tree *member(Tree &map, std::string_view key);

/// How a key that is not known is reported.
struct UnknownKey {
  bool hides_line = false;     // what stands there may be a secret
  std::string_view help = {};  // where no key is similar; `{}` is the key
};

struct TableReader {
  const Source &source;
  Diagnostics &diagnostics;

  Diagnostic &report(const Spot &spot, std::string id, std::string message);
  void check_keys(const Tree &map, std::string_view where, const std::vector<std::string> &allowed,
                  UnknownKey what = {});
  /// A member that must be a table, or nullptr.
  Tree *table(Tree &map, std::string_view key, std::string_view written);
  /// A fixed text, or empty.
  std::string text(const Tree &map, std::string_view key);
  /// A list of strings, or one string.
  std::vector<std::string> texts(const Tree &list, std::string_view key);
  /// A member that `param` describes; nullopt: absent or wrong.
  std::optional<Value> field(const Tree &map, const Param &param);
  /// Whether `name` may be one; reports it otherwise.
  bool check_name(const Spot &spot, std::string_view what, const std::string &name);
};

}  // namespace pipes
