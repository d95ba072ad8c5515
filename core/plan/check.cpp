#include "core/plan/check.hpp"

#include "core/base/words.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace pipes {
namespace {

using Kind = Value::Kind;

std::vector<std::string> parameter_names(const StepSchema &schema) {
  std::vector<std::string> names;
  for (const Param &param : schema.params) names.push_back(param.name);
  return names;
}

/// A parameter that takes a secret in one of several values, such as `env`: the others are no secret.
bool is_container(const Param &param) {
  return param.type == Type::list || param.type == Type::map;
}

/// Whether a value of that kind can become what the parameter takes.
bool can_become(const Param &param, Kind kind) {
  if (kind == Kind::null) return true;
  switch (param.type) {
    case Type::string:
    case Type::path:
      return kind == Kind::string || kind == Kind::integer || kind == Kind::boolean;
    case Type::integer:
      return kind == Kind::integer;
    case Type::number:
      return kind == Kind::integer || kind == Kind::number;
    case Type::boolean:
      return kind == Kind::boolean;
    case Type::duration:
      return kind == Kind::string;
    case Type::size:
      return kind == Kind::integer || kind == Kind::string;
    case Type::map:
      return kind == Kind::map;
    case Type::list:
      return kind == Kind::list || can_become(item_param(param), kind);
  }
  return true;
}

bool seems_secret(std::string_view name) {
  constexpr std::string_view kWords[] = {"pass", "secret", "token", "key", "credential", "auth"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}

}  // namespace

std::string ParameterChecker::Subject::text() const {
  if (instance != nullptr)
    return fmt::format("`{}` of `{}[{}]`", param.name, owner, to_json(Value(*instance)));
  if (container == nullptr) return fmt::format("`{}` of `{}`", param.name, owner);
  return key == nullptr ? fmt::format("item {} of {}", item + 1, container->text())
                        : fmt::format("`{}` in {}", *key, container->text());
}

Diagnostic &ParameterChecker::report(const Spot &spot, std::string id, std::string message) {
  diagnostics_.push_back(diagnose(impl_.pipeline.source, spot, std::move(id), std::move(message)));
  return diagnostics_.back();
}

void ParameterChecker::check(Step &step, std::uint32_t index, const StepSchema *schema) {
  const Context context{Context::Kind::parameter, index};
  schema_ = schema;
  if (schema == nullptr) {
    binder_.bind(step.with, context);
    return;
  }
  for (std::size_t i = 0; i < step.with.items.size(); ++i) {
    parameter(step.with.keys[i], step.with.items[i], *schema, context);
  }
  if (step.with.kind != Tree::Kind::map) return;
  const std::vector<std::string> names = parameter_names(*schema);
  for (const Param &param : schema->params) {
    // A name that is mistyped has been reported as that.
    const auto means_it = [&](const Tree::Key &key) {
      const Param *named = schema->param(key.name);
      return named == nullptr ? closest(key.name, names) == param.name : named == &param;
    };
    if (!param.required || std::ranges::any_of(step.with.keys, means_it)) continue;
    Diagnostic &d =
        report(step.uses_spot, "missing-parameter",
               fmt::format("step `{}` lacks `{}`, which `{}` needs", step.id, param.name, schema->step));
    if (!param.help.empty()) d.notes.push_back(fmt::format("{}: {}", param.name, param.help));
    d.help = fmt::format("add with.{} = …", param.name);
  }
}

void ParameterChecker::parameter(const Tree::Key &key, Tree &tree, const StepSchema &schema,
                                 const Context &context) {
  const Param *param = schema.param(key.name);
  if (param == nullptr) {
    unknown_parameter(key, tree, schema);
    binder_.bind(tree, context);
    return;
  }
  if (!param->deprecated.empty()) {
    Diagnostic &d =
        report(key.spot, "deprecated", fmt::format("`{}` of `{}` is deprecated", key.name, schema.step));
    d.warning = true;
    d.help = param->deprecated;
  }
  const Subject subject{*param, schema.step};
  if (param->secret && !is_container(*param)) literal_secret(subject, tree);
  value(subject, tree, context);
}

void ParameterChecker::unknown_parameter(const Tree::Key &key, const Tree &tree, const StepSchema &schema) {
  const std::vector<std::string> names = parameter_names(schema);
  Diagnostic &d =
      report(key.spot, "unknown-parameter", fmt::format("`{}` has no parameter `{}`", schema.step, key.name));
  d.label = "not known here";
  d.notes.push_back(fmt::format("parameters of {} {}: {}", schema.step, schema.version,
                                names.empty() ? "none" : joined(names)));
  const std::string meant = closest(key.name, names);
  if (!meant.empty()) d.help = fmt::format("did you mean `{}`?", meant);
  const bool is_secret = seems_secret(key.name) || (!meant.empty() && schema.param(meant)->secret);
  if (is_secret && tree.kind != Tree::Kind::text) hide_lines(key.spot.line, tree.spot.last_line);
}

/// A secret that stands in the file itself works, but everyone who sees the file has it.
void ParameterChecker::literal_secret(const Subject &subject, const Tree &tree) {
  if (tree.kind == Tree::Kind::text) return;
  hide_lines(tree.spot.line, tree.spot.last_line);
  if (!tree.is_string() || tree.scalar.as_string().empty()) return;
  secret_values.push_back(tree.scalar.as_string());
  Diagnostic &d = report(tree.spot, "plain-secret",
                         fmt::format("{} is a secret, and its value stands in the file", subject.text()));
  d.warning = true;
  d.help = fmt::format("declare [secrets.{0}] and write \"${{secrets.{0}}}\"", subject.param.name);
}

void ParameterChecker::value(const Subject &subject, Tree &tree, const Context &context) {
  const Param &param = subject.param;
  if ((param.type == Type::list && tree.kind == Tree::Kind::list) ||
      (param.type == Type::map && tree.kind == Tree::Kind::map)) {
    items(subject, tree, context);
    return;
  }
  const std::size_t before = diagnostics_.size();
  const Known known = binder_.bind(tree, context);
  if (known.secret && !param.secret) secret_goes(param, known, *schema_);
  if (diagnostics_.size() > before) return;
  // A list among the items of a list is spliced into it (see coerce), so it is checked as that.
  const bool spliced = known.kind == Kind::list && subject.key == nullptr && subject.container != nullptr;
  const Subject &checked = spliced ? *subject.container : subject;
  if (known.kind && known.needs_run) {
    static_type(checked, tree, *known.kind);
  } else if (known.needs_each) {
    per_instance_.push_back({context.step, &param, &tree});
  } else if (!known.needs_run) {
    try_value(checked, tree);
  }
}

void ParameterChecker::items(const Subject &subject, Tree &tree, const Context &context) {
  const Param item = item_param(subject.param);
  const std::size_t before = per_instance_.size();
  const bool was_item = std::exchange(is_item_, true);
  for (std::size_t i = 0; i < tree.items.size(); ++i) {
    const std::string *key = tree.kind == Tree::Kind::map ? &tree.keys[i].name : nullptr;
    value({item, subject.owner, &subject, i, key}, tree.items[i], context);
  }
  is_item_ = was_item;
  // Those outlive the item's description, so the whole is checked instead.
  if (per_instance_.size() > before) {
    per_instance_.resize(before);
    per_instance_.push_back({context.step, &subject.param, &tree});
  }
}

void ParameterChecker::secret_goes(const Param &param, const Known &known, const StepSchema &schema) {
  Diagnostic &d =
      report(*known.secret, "secret-leak",
             fmt::format("a secret may not go to `{}` of `{}`: it would show", param.name, schema.step));
  std::string takers;
  for (const Param &other : schema.params) {
    if (other.secret) takers += (takers.empty() ? "" : ", ") + other.name;
  }
  d.help = takers.empty() ? fmt::format("`{}` has no parameter that takes a secret", schema.step)
                          : fmt::format("parameters of {} that take one: {}", schema.step, takers);
}

void ParameterChecker::static_type(const Subject &subject, const Tree &tree, Kind kind) {
  const Param &param = subject.param;
  if (can_become(param, kind)) return;
  report(tree.spot, "wrong-type",
         fmt::format("{} takes {}, but this will be {}", subject.text(),
                     with_article(describe_type(param.type, param.item)),
                     with_article(std::string(kind_name(kind)))));
}

/// False after a report.
bool ParameterChecker::try_value(const Subject &subject, const Tree &tree) {
  const Param &param = subject.param;
  std::string problem;
  try {
    Evaluated now = evaluate(tree, scope_);
    if (now.unknown || now.value.is_null()) return true;
    problem = coerce(param, now.value);
    if (problem.empty()) {
      const bool is_secret = param.secret && !is_item_ && !is_container(param);
      if (is_secret && tree.kind == Tree::Kind::text) secret_values.push_back(to_text(now.value));
      return true;
    }
  } catch (const EvaluationError &error) {
    diagnostics_.push_back(diagnose(impl_.pipeline.source, error, tree.spot));
    return false;
  }
  Diagnostic &d = report(tree.spot, "wrong-value", fmt::format("{} {}", subject.text(), problem));
  if (!param.examples.empty()) d.help = "for example: " + joined(param.examples);
  return false;
}

void ParameterChecker::check_instances(const Step &step, std::uint32_t index) {
  const Instances &instances = impl_.instances[index];
  const auto is_before = [](const PerInstance &p, std::uint32_t wanted) { return p.step < wanted; };
  auto one = std::lower_bound(per_instance_.begin(), per_instance_.end(), index, is_before);
  for (; one != per_instance_.end() && one->step == index; ++one) {
    // One mistake in the file is one error, however many instances it hits.
    for (std::uint32_t i = 0; i < instances.count; ++i) {
      scope_.choose(index, i);
      const Subject subject{*one->param, step.id, nullptr, 0, nullptr, &instances.keys[i]};
      if (!try_value(subject, *one->tree)) break;
    }
  }
}

void ParameterChecker::hide_lines(std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t line = first; line <= last; ++line) secret_lines_.insert(line);
}

void ParameterChecker::hide_secret_lines() {
  for (Diagnostic &d : diagnostics_) {
    if (d.place.file != impl_.pipeline.source.path() || d.place.line < 1) continue;
    d.hide_line = d.hide_line || secret_lines_.contains(static_cast<std::uint32_t>(d.place.line));
  }
}

}  // namespace pipes
