#include "core/pipeline/tree.hpp"

#include <algorithm>

namespace pipes {

std::string_view Tree::kind_name() const {
  switch (kind) {
    case Kind::scalar:
      return pipes::kind_name(scalar.kind());
    case Kind::text:
      return "string";
    case Kind::list:
      return "list";
    case Kind::map:
      return "map";
  }
  return "string";
}

const Tree *Tree::find(std::string_view key) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const Key &k) { return k.name == key; });
  return found == keys.end() ? nullptr : &items[static_cast<std::size_t>(found - keys.begin())];
}

void read_templates(Tree &tree, const Source &source, Diagnostics &diagnostics) {
  if (tree.kind == Tree::Kind::scalar && tree.scalar.is_string() && has_template(tree.scalar.as_string())) {
    std::vector<SyntaxError> errors;
    Template text = parse_template(tree.scalar.as_string(), errors);
    for (const SyntaxError &error : errors) diagnostics.push_back(diagnose(source, tree.spot, error));
    const bool is_literal = text.parts.size() == 1 && !text.parts.front().expression;
    if (is_literal) {
      tree.scalar = std::move(text.parts.front().text);
    } else {
      tree.kind = Tree::Kind::text;
      tree.scalar = Value();
      tree.text = std::make_unique<Template>(std::move(text));
    }
  }
  for (Tree &item : tree.items) read_templates(item, source, diagnostics);
}

Value to_value(const Tree &tree) {
  if (tree.kind == Tree::Kind::list) {
    Value::List list;
    list.reserve(tree.items.size());
    for (const Tree &item : tree.items) list.push_back(to_value(item));
    return list;
  }
  if (tree.kind == Tree::Kind::map) {
    Value::Map map;
    map.reserve(tree.items.size());
    for (std::size_t i = 0; i < tree.items.size(); ++i) {
      map.emplace_back(tree.keys[i].name, to_value(tree.items[i]));
    }
    return map;
  }
  return tree.scalar;
}

Diagnostic diagnose(const Source &source, const Spot &spot, std::string id, std::string message) {
  Diagnostic diagnostic;
  diagnostic.id = std::move(id);
  diagnostic.message = std::move(message);
  diagnostic.place = source.place(spot);
  return diagnostic;
}

Diagnostic diagnose(const Source &source, const Spot &string, const SyntaxError &error) {
  Diagnostic diagnostic =
      diagnose(source, source.inside(string, error.begin, error.end), "expression", error.message);
  diagnostic.help = error.help;
  return diagnostic;
}

}  // namespace pipes
