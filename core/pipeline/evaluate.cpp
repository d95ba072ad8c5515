#include "core/pipeline/evaluate.hpp"

#include "core/base/diagnostic.hpp"
#include "core/schema/schema.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

using Op = Expression::Op;

constexpr Value::Kind kBoolean = Value::Kind::boolean;

Evaluated unknown() {
  return {{}, true};
}

bool equal(const Value &a, const Value &b) {
  const auto is_number = [](const Value &v) {
    return v.kind() == Value::Kind::integer || v.kind() == Value::Kind::number;
  };
  if (is_number(a) && is_number(b) && a.kind() != b.kind()) return a.as_number() == b.as_number();
  return a == b;
}

[[noreturn]] void fail(const Expression &at, std::string message, std::string help = {}) {
  throw EvaluationError{std::move(message), std::move(help), at.begin, at.end, nullptr};
}

bool truth(const Expression &at, const Value &value) {
  if (value.is_null()) return false;
  if (value.kind() != kBoolean)
    fail(at,
         fmt::format("this is {}, not true or false", with_article(std::string(kind_name(value.kind())))));
  return value.as_bool();
}

/// && and ||: `decisive` is the operand that settles it whatever the other one is.
Evaluated logic(const Expression &e, const Scope &scope, bool decisive) {
  bool is_unknown = false;
  for (const Expression &operand : e.arguments) {
    const Evaluated side = evaluate(operand, scope);
    if (side.unknown) {
      is_unknown = true;
    } else if (truth(operand, side.value) == decisive) {
      return {decisive};
    }
  }
  return is_unknown ? unknown() : Evaluated{!decisive};
}

std::int64_t length(const Expression &at, const Value &value) {
  switch (value.kind()) {
    case Value::Kind::null:
      return 0;
    case Value::Kind::list:
      return static_cast<std::int64_t>(value.as_list().size());
    case Value::Kind::map:
      return static_cast<std::int64_t>(value.as_map().size());
    case Value::Kind::string:
      return std::count_if(value.as_string().begin(), value.as_string().end(),
                           [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
    default:
      fail(at, fmt::format("{} has no length", with_article(std::string(kind_name(value.kind())))));
  }
}

bool contains(const Expression &at, const Value &item, const Value &whole) {
  switch (whole.kind()) {
    case Value::Kind::null:
      return false;
    case Value::Kind::list:
      return std::any_of(whole.as_list().begin(), whole.as_list().end(),
                         [&](const Value &v) { return equal(v, item); });
    case Value::Kind::map:
      return item.is_string() && whole.find(item.as_string()) != nullptr;
    case Value::Kind::string:
      return item.is_string() && whole.as_string().find(item.as_string()) != std::string::npos;
    default:
      fail(at, fmt::format("nothing is in {}", with_article(std::string(kind_name(whole.kind())))));
  }
}

Evaluated binary(const Expression &e, const Scope &scope) {
  const Evaluated left = evaluate(e.arguments[0], scope), right = evaluate(e.arguments[1], scope);
  if (left.unknown || right.unknown) return unknown();
  switch (e.op) {
    case Op::equal:
      return {equal(left.value, right.value)};
    case Op::not_equal:
      return {!equal(left.value, right.value)};
    case Op::in:
      return {contains(e.arguments[1], left.value, right.value)};
    default:
      return {e.pattern->occurs_in(to_text(left.value))};
  }
}

/// `.name` or `[key]` of a value.
Value member(const Expression::Segment &segment, const Value &whole, const Value &key) {
  const auto wrong = [&](std::string message, std::string help = {}) {
    throw EvaluationError{std::move(message), std::move(help), segment.begin, segment.end, nullptr};
  };
  if (whole.kind() == Value::Kind::list && key.kind() == Value::Kind::integer) {
    const auto &list = whole.as_list();
    if (key.as_int() >= 0 && static_cast<std::size_t>(key.as_int()) < list.size()) {
      return list[static_cast<std::size_t>(key.as_int())];
    }
    wrong(fmt::format("the list has {} items, none of index {}", list.size(), key.as_int()));
  }
  if (whole.kind() == Value::Kind::map && key.is_string()) {
    if (const Value *found = whole.find(key.as_string())) return *found;
    std::vector<std::string> keys;
    for (const auto &[name, value] : whole.as_map()) keys.push_back(name);
    wrong(fmt::format("the map has no key `{}`", key.as_string()), did_you_mean(key.as_string(), keys));
  }
  if (!whole.is_null()) {
    wrong(fmt::format("{} has no `{}`", with_article(std::string(kind_name(whole.kind()))), to_text(key)));
  }
  return {};
}

Evaluated reference(const Expression &e, const Scope &scope) {
  Value key;
  if (e.reference.instances == Reference::Instances::one) {
    Evaluated chosen = evaluate(e.arguments[0], scope);
    if (chosen.unknown) return unknown();
    key = std::move(chosen.value);
  }
  Evaluated result;
  try {
    result = scope.look_up(e.reference, key);
  } catch (EvaluationError &error) {
    error.begin = e.begin;
    error.end = e.end;
    throw;
  }
  for (std::size_t i = e.reference.first_member; i < e.segments.size() && !result.unknown; ++i) {
    const Expression::Segment &segment = e.segments[i];
    Value name = segment.name;
    if (segment.kind == Expression::Segment::Kind::index) {
      Evaluated index = evaluate(e.arguments[segment.argument], scope);
      if (index.unknown) return unknown();
      name = std::move(index.value);
    }
    result.value = member(segment, result.value, name);
  }
  return result;
}

Evaluated text(const Template &text, const Scope &scope) {
  if (text.is_alone()) return evaluate(*text.parts.front().expression, scope);
  std::string result;
  bool is_unknown = false;
  for (const Template::Part &part : text.parts) {
    if (!part.expression) {
      result += part.text;
      continue;
    }
    const Evaluated value = evaluate(*part.expression, scope);
    is_unknown = is_unknown || value.unknown;
    result += to_text(value.value);
  }
  return is_unknown ? unknown() : Evaluated{std::move(result)};
}

}  // namespace

Evaluated evaluate(const Expression &e, const Scope &scope) {
  switch (e.op) {
    case Op::literal:
      return {e.literal};
    case Op::reference:
      return reference(e, scope);
    case Op::both:
      return logic(e, scope, false);
    case Op::either:
      return logic(e, scope, true);
    case Op::equal:
    case Op::not_equal:
    case Op::in:
    case Op::matches:
      return binary(e, scope);
    case Op::negate:
    case Op::len: {
      const Expression &operand = e.arguments[0];
      const Evaluated inner = evaluate(operand, scope);
      if (inner.unknown) return unknown();
      return e.op == Op::negate ? Evaluated{!truth(operand, inner.value)}
                                : Evaluated{length(operand, inner.value)};
    }
    case Op::list: {
      Value::List list;
      for (const Expression &argument : e.arguments) {
        Evaluated item = evaluate(argument, scope);
        if (item.unknown) return unknown();
        list.push_back(std::move(item.value));
      }
      return {std::move(list)};
    }
  }
  return {};
}

Evaluated evaluate(const Tree &tree, const Scope &scope) {
  if (tree.kind == Tree::Kind::scalar) return {tree.scalar};
  if (tree.kind == Tree::Kind::text) {
    try {
      return text(*tree.text, scope);
    } catch (EvaluationError &error) {
      error.tree = &tree;
      throw;
    }
  }
  Value::List list;
  Value::Map map;
  bool is_unknown = false;
  for (std::size_t i = 0; i < tree.items.size(); ++i) {
    Evaluated item = evaluate(tree.items[i], scope);
    is_unknown = is_unknown || item.unknown;
    if (item.value.is_null()) continue;
    if (tree.kind == Tree::Kind::list) {
      list.push_back(std::move(item.value));
    } else {
      map.emplace_back(tree.keys[i].name, std::move(item.value));
    }
  }
  if (is_unknown) return unknown();
  return tree.kind == Tree::Kind::list ? Evaluated{std::move(list)} : Evaluated{std::move(map)};
}

}  // namespace pipes
