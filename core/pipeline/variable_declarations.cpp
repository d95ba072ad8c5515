#include "core/pipeline/declarations.hpp"

#include "core/base/error.hpp"
#include "core/base/words.hpp"

#include <fmt/core.h>

#include <cmath>
#include <utility>

namespace pipes {
namespace {

/// "list<string>" and such; the shorter names that people expect are taken too.
bool read_type(const std::string &text, Param &param) {
  std::string name = text, item;
  const std::size_t open = text.find('<');
  if (open != std::string::npos && text.ends_with('>')) {
    name = text.substr(0, open);
    item = text.substr(open + 1, text.size() - open - 2);
  }
  const auto known = [](const std::string &word) {
    return parse_type(word == "int"     ? "integer"
                      : word == "bool"  ? "boolean"
                      : word == "float" ? "number"
                                        : word);
  };
  const std::optional<Type> type = known(name);
  const std::optional<Type> item_type = item.empty() ? Type::string : known(item);
  if (!type || !item_type || *item_type == Type::list || *item_type == Type::map) return false;
  if (!item.empty() && *type != Type::list && *type != Type::map) return false;
  param.type = *type;
  param.item = *item_type;
  return true;
}

Type type_of(const Value &value) {
  switch (value.kind()) {
    case Value::Kind::boolean:
      return Type::boolean;
    case Value::Kind::integer:
      return Type::integer;
    case Value::Kind::number:
      return Type::number;
    case Value::Kind::list:
      return Type::list;
    case Value::Kind::map:
      return Type::map;
    case Value::Kind::null:
    case Value::Kind::string:
      break;
  }
  return Type::string;
}

/// A variable without `type` has that of its default.
void infer_type(const Value &value, Param &param) {
  param.type = type_of(value);
  if (param.type == Type::list && !value.as_list().empty()) param.item = type_of(value.as_list().front());
  if (param.type == Type::map && !value.as_map().empty()) param.item = type_of(value.as_map().front().second);
}

/// Whether a number is one that a std::int64_t can hold.
bool is_whole(double number) {
  return std::trunc(number) == number && std::abs(number) < 0x1p63;
}

class VariableReader {
 public:
  explicit VariableReader(TableReader &read) : read_(read) {}

  std::vector<Variable> read(Tree &document) {
    Tree *vars = read_.table(document, "vars", "[vars.name]");
    if (vars == nullptr) return {};
    for (std::size_t i = 0; i < vars->items.size(); ++i) {
      const Tree::Key &key = vars->keys[i];
      const Tree &body = vars->items[i];
      if (body.kind != Tree::Kind::map) {
        read_.report(key.spot, "wrong-type", fmt::format("variable `{}` is declared by a table", key.name))
            .help = fmt::format("write [vars.{}] and below it default = …", key.name);
        continue;
      }
      if (read_.check_name(key.spot, "variable", key.name)) variable(key, body);
    }
    return std::move(variables_);
  }

 private:
  const std::vector<std::string> kVariableKeys{"type",    "default", "description", "env",
                                               "pattern", "min",     "max",         "choices"};

  void variable(const Tree::Key &key, const Tree &body) {
    read_.check_keys(body, fmt::format("[vars.{}]", key.name), kVariableKeys);
    Variable variable;
    variable.spot = key.spot;
    variable.env = read_.text(body, "env");
    Param &param = variable.param;
    param.name = key.name;
    param.help = read_.text(body, "description");
    const Tree *fallback = body.find("default");
    const Value written = fallback == nullptr ? Value() : to_value(*fallback);
    infer_type(written, param);
    if (const std::string type = read_.text(body, "type"); !type.empty() && !read_type(type, param)) {
      Diagnostic &d =
          read_.report(body.find("type")->spot, "wrong-value", fmt::format("there is no type `{}`", type));
      const std::vector<std::string> types{"string", "integer", "number",       "boolean",    "duration",
                                           "size",   "path",    "list<string>", "map<string>"};
      d.notes.push_back("types are: " + joined(types));
      d.help = did_you_mean(type, types);
    }
    constraints(body, param);
    if (fallback != nullptr) set_default(*fallback, written, param);
    param.required = fallback == nullptr;
    variables_.push_back(std::move(variable));
  }

  void constraints(const Tree &body, Param &param) {
    for (const auto &[key, bound] : {std::pair("min", &param.minimum), std::pair("max", &param.maximum)}) {
      // A bound is written as the variable's values are: "1m" for a duration.
      Param as_written =
          make_param(key, param.type == Type::list || param.type == Type::map ? param.item : param.type);
      const auto value = read_.field(body, as_written);
      if (value && value->kind() == Value::Kind::integer) {
        *bound = value->as_int();
      } else if (value && value->kind() == Value::Kind::number && is_whole(value->as_number())) {
        *bound = static_cast<std::int64_t>(value->as_number());
      } else if (value) {
        read_.report(body.find(key)->spot, "wrong-value", fmt::format("`{}` is a whole number", key));
      }
    }
    if (const Tree *choices = body.find("choices")) param.choices = read_.texts(*choices, "choices");
    param.pattern = read_.text(body, "pattern");
    if (param.pattern.empty()) return;
    try {
      param.matcher = std::make_shared<const Pattern>(param.pattern);
    } catch (const Error &e) {
      read_.report(body.find("pattern")->spot, "wrong-value", e.message);
    }
  }

  void set_default(const Tree &tree, const Value &written, Param &param) {
    if (tree.is_string() && has_template(tree.scalar.as_string())) {
      read_.report(tree.spot, "no-template", "a default is fixed: ${…} cannot stand here");
      return;
    }
    Value value = written;
    const std::string problem = coerce(param, value);
    if (problem.empty()) {
      param.fallback = with_units(param.type, param.item, std::move(value));
    } else {
      read_.report(tree.spot, "wrong-value",
                   fmt::format("the default of variable `{}` {}", param.name, problem));
    }
  }

  TableReader &read_;
  std::vector<Variable> variables_;
};

}  // namespace

std::vector<Variable> read_variables(Tree &document, TableReader &reader) {
  return VariableReader(reader).read(document);
}

}  // namespace pipes
