#pragma once
// A value as it stands in a pipeline, a parameter or an output.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pipes {

class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::vector<std::pair<std::string, Value>>;  // in the order given
  enum class Kind { null, boolean, integer, number, string, list, map };

  Value() = default;
  // NOLINTBEGIN(google-explicit-constructor): values read like literals
  Value(bool v) : data_(v) {}
  Value(std::int64_t v) : data_(v) {}
  Value(int v) : data_(std::int64_t{v}) {}
  Value(double v) : data_(v) {}
  Value(std::string v) : data_(std::move(v)) {}
  Value(std::string_view v) : data_(std::string(v)) {}
  Value(const char *v) : data_(std::string(v)) {}
  Value(List v) : data_(std::move(v)) {}
  Value(Map v) : data_(std::move(v)) {}
  // NOLINTEND(google-explicit-constructor)

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_null() const { return kind() == Kind::null; }
  bool is_string() const { return kind() == Kind::string; }
  bool as_bool() const { return std::get<bool>(data_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(data_); }
  double as_number() const {
    return kind() == Kind::integer ? static_cast<double>(as_int()) : std::get<double>(data_);
  }
  const std::string &as_string() const { return std::get<std::string>(data_); }
  const List &as_list() const { return std::get<List>(data_); }
  const Map &as_map() const { return std::get<Map>(data_); }
  List &as_list() { return std::get<List>(data_); }
  Map &as_map() { return std::get<Map>(data_); }
  /// A member of a map; nullptr if absent or not a map.
  const Value *find(std::string_view key) const;
  bool operator==(const Value &) const = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map> data_;
};

/// Null, or text, a list or a map with nothing in it.
bool is_empty(const Value &);
/// "string", "integer", "list" … as the schema names them.
std::string_view kind_name(Value::Kind);
/// Compact JSON, keys in order. UTF-8 that is not valid is replaced.
std::string to_json(const Value &);
/// Throws pipes::Error. Depth and size are capped.
Value parse_json(std::string_view text);
/// As it reads inside a string: strings plain, everything else as JSON.
std::string to_text(const Value &);

}  // namespace pipes
