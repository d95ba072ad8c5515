#include "core/plan/bind.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

/// Looking for a similar name goes through all of them: a file with thousands of mistakes must not
/// take minutes to say so.
constexpr int kMaxSuggestions = 50;

using Op = Expression::Op;
using Kind = Value::Kind;

bool is_number(Kind kind) {
  return kind == Kind::integer || kind == Kind::number;
}

/// What is known of an operation on values of which `parts` is known.
Known together(const std::vector<Known> &parts, Kind kind) {
  Known all;
  all.kind = kind;
  for (const Known &part : parts) {
    all.needs_run = all.needs_run || part.needs_run;
    all.needs_each = all.needs_each || part.needs_each;
    if (!all.secret) all.secret = part.secret;
  }
  return all;
}

}  // namespace

Binder::Binder(const Pipeline &pipeline, const std::vector<const StepSchema *> &schemas,
               Diagnostics &diagnostics)
    : wanted_secrets(pipeline.secrets.size()),
      pipeline_(pipeline),
      schemas_(schemas),
      diagnostics_(diagnostics) {
  std::uint32_t index = 0;
  for (const Variable &variable : pipeline.variables) variables_.emplace(variable.param.name, index++);
  index = 0;
  for (const SecretDeclaration &secret : pipeline.secrets) secrets_.emplace(secret.name, index++);
  index = 0;
  steps_.reserve(pipeline.steps.size());
  for (const Step &step : pipeline.steps) steps_.emplace(step.id, index++);
}

Known Binder::bind(Expression &e, const Context &context, const Spot &string) {
  return expression(e, {context, string});
}

Known Binder::bind(Tree &tree, const Context &context) {
  if (tree.kind == Tree::Kind::scalar) {
    Known known;
    known.kind = tree.scalar.kind();
    return known;
  }
  std::vector<Known> parts;
  if (tree.kind == Tree::Kind::text) {
    if (tree.text->is_alone()) return bind(*tree.text->parts.front().expression, context, tree.spot);
    for (Template::Part &part : tree.text->parts) {
      if (part.expression) parts.push_back(bind(*part.expression, context, tree.spot));
    }
    return together(parts, Kind::string);
  }
  for (Tree &item : tree.items) parts.push_back(bind(item, context));
  return together(parts, tree.kind == Tree::Kind::list ? Kind::list : Kind::map);
}

std::optional<std::uint32_t> Binder::find_step(std::string_view id) const {
  const auto found = steps_.find(id);
  return found == steps_.end() ? std::nullopt : std::optional(found->second);
}

std::string Binder::suggest(std::string_view word, const std::vector<std::string> &choices) {
  return ++suggestions_ > kMaxSuggestions ? std::string() : did_you_mean(word, choices);
}

Spot Binder::spot(const Here &here, std::size_t begin, std::size_t end) const {
  return pipeline_.source.inside(here.string, begin, end);
}

Diagnostic &Binder::report(const Here &here, std::size_t begin, std::size_t end, std::string id,
                           std::string message) {
  diagnostics_.push_back(
      diagnose(pipeline_.source, spot(here, begin, end), std::move(id), std::move(message)));
  return diagnostics_.back();
}

Known Binder::expression(Expression &e, const Here &here) {
  if (e.op == Op::reference) return reference(e, here);
  if (e.op != Op::literal) return operands(e, here);
  Known known;
  known.kind = e.literal.kind();
  return known;
}

Known Binder::operands(Expression &e, const Here &here) {
  std::vector<Known> parts;
  for (Expression &argument : e.arguments) parts.push_back(expression(argument, here));
  check_operands(e, parts, here);
  return together(parts, e.op == Op::list ? Kind::list : e.op == Op::len ? Kind::integer : Kind::boolean);
}

void Binder::check_operands(const Expression &e, const std::vector<Known> &parts, const Here &here) {
  const auto wrong = [&](std::size_t i, std::string_view wanted) {
    const Expression &operand = e.arguments[i];
    report(here, operand.begin, operand.end, "wrong-type",
           fmt::format("this is {}, but {} is wanted", with_article(std::string(kind_name(*parts[i].kind))),
                       wanted));
  };
  const auto expect = [&](std::size_t i, std::string_view wanted, std::initializer_list<Kind> kinds) {
    if (parts[i].kind && std::find(kinds.begin(), kinds.end(), *parts[i].kind) == kinds.end())
      wrong(i, wanted);
  };
  switch (e.op) {
    case Op::negate:
    case Op::both:
    case Op::either:
      for (std::size_t i = 0; i < parts.size(); ++i) expect(i, "true or false", {Kind::boolean});
      break;
    case Op::matches:
      expect(0, "a string", {Kind::string});
      break;
    case Op::in:
      expect(1, "a list, a map or a string", {Kind::list, Kind::map, Kind::string});
      break;
    case Op::len:
      expect(0, "a list, a map or a string", {Kind::list, Kind::map, Kind::string});
      break;
    case Op::equal:
    case Op::not_equal:
      if (parts[0].kind && parts[1].kind && *parts[0].kind != *parts[1].kind &&
          !(is_number(*parts[0].kind) && is_number(*parts[1].kind))) {
        report(here, e.begin, e.end, "wrong-type",
               fmt::format("{} never equals {}", with_article(std::string(kind_name(*parts[0].kind))),
                           with_article(std::string(kind_name(*parts[1].kind)))));
      }
      break;
    case Op::literal:
    case Op::list:
    case Op::reference:
      break;
  }
}

}  // namespace pipes
