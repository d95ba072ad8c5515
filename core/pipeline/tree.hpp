#pragma once
// What stands in a TOML file: values with their places, in the order written.
#include "core/base/value.hpp"
#include "core/pipeline/expression.hpp"
#include "core/pipeline/source.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

struct Tree {
  enum class Kind { scalar, text, list, map };
  struct Key {
    std::string name;
    Spot spot;
  };

  Kind kind = Kind::scalar;
  Spot spot;
  Value scalar;                    // a string without templates, a number, a boolean
  std::unique_ptr<Template> text;  // a string with ${…} in it, once read_templates has seen it
  std::vector<Tree> items;         // of a list; the values of a map
  std::vector<Key> keys;           // of a map, one an item

  /// "string", "list" …, as the file has it.
  std::string_view kind_name() const;
  bool is_string() const { return kind == Kind::text || (kind == Kind::scalar && scalar.is_string()); }
  /// A member of a map; nullptr if absent or not a map.
  const Tree *find(std::string_view key) const;
};

/// Throws Diagnostic when it is not TOML (only the first mistake can be found).
Tree read_toml(const Source &);
/// Reads the ${…} in every string below; what is wrong with them is added to `diagnostics`.
void read_templates(Tree &, const Source &, Diagnostics &diagnostics);
/// Without its templates: as it is written.
Value to_value(const Tree &);

/// Says what is wrong in the file, at `spot`.
Diagnostic diagnose(const Source &, const Spot &, std::string id, std::string message);
Diagnostic diagnose(const Source &, const Spot &string, const SyntaxError &);

}  // namespace pipes
