#include "core/plan/plan_impl.hpp"
#include "core/plan/settings.hpp"

#include <fmt/core.h>

namespace pipes {
namespace {

/// A list of keys that is read, not scanned.
constexpr std::size_t kShownKeys = 10;

Evaluated unknown() {
  return {{}, true};
}

}  // namespace

std::uint32_t find_instance(const Instances &instances, const Step &step, const Value &key) {
  const std::string text = to_text(key);
  const auto found = instances.by_key.find(text);
  if (found != instances.by_key.end()) return found->second;
  EvaluationError error;
  error.message = fmt::format("step `{}` has no instance {}", step.id, to_json(Value(text)));
  error.help = did_you_mean(text, instances.keys);
  if (error.help.empty() && instances.keys.size() <= kShownKeys) {
    for (const std::string &known : instances.keys)
      error.help += (error.help.empty() ? "its keys are: " : ", ") + known;
  }
  throw error;
}

Evaluated PlanScope::look_up(const Reference &reference, const Value &key) const {
  switch (reference.root) {
    case Reference::Root::variable: {
      const std::optional<Value> &value = impl_.variables[reference.index];
      return value ? Evaluated{*value} : unknown();
    }
    case Reference::Root::secret: {
      if (!impl_.secrets_are_known) return unknown();
      const std::optional<std::string> &value = impl_.secrets[reference.index];
      return value ? Evaluated{Value(*value)} : Evaluated{};
    }
    case Reference::Root::step:
      return output(reference, key);
    case Reference::Root::each_key:
      return {Value(impl_.instances[step_].keys[instance_])};
    case Reference::Root::each_value:
      return {impl_.instances[step_].values[instance_]};
    case Reference::Root::run_id:
      return now_.facts == nullptr || now_.facts->id.empty() ? unknown() : Evaluated{Value(now_.facts->id)};
    case Reference::Root::run_status:
      return now_.facts == nullptr || now_.facts->status.empty() ? unknown()
                                                                 : Evaluated{Value(now_.facts->status)};
    case Reference::Root::down_command:
      return {Value(down_command(impl_.pipeline.source.path(), settings_of(impl_)))};
    case Reference::Root::constant:
      return {reference.constant};
    case Reference::Root::unbound:
      break;
  }
  return unknown();
}

Evaluated PlanScope::output(const Reference &reference, const Value &key) const {
  if (now_.results == nullptr) return unknown();
  const Instances &instances = impl_.instances[reference.index];
  if (reference.instances == Reference::Instances::only) return output_of(instances.first, reference);
  if (reference.instances == Reference::Instances::one) {
    const std::uint32_t at = find_instance(instances, impl_.pipeline.steps[reference.index], key);
    return output_of(instances.first + at, reference);
  }
  Value::List list;
  for (std::uint32_t i = 0; i < instances.count; ++i) {
    Evaluated one = output_of(instances.first + i, reference);
    if (one.unknown) return unknown();
    if (!one.value.is_null()) list.push_back(std::move(one.value));
  }
  return {std::move(list)};
}

Evaluated PlanScope::output_of(std::uint32_t node, const Reference &reference) const {
  const NodeResult &result = (*now_.results)[node];
  for (const auto &[name, value] : result.outputs) {
    if (name != reference.output) continue;
    const StepSchema *schema = (*now_.nodes)[node].schema;
    const Output *declared = schema == nullptr ? nullptr : schema->output(name);
    return {declared == nullptr ? value : with_units(declared->type, declared->item, value)};
  }
  switch (result.state) {
    case NodeResult::State::skipped:
    case NodeResult::State::failed:
    case NodeResult::State::cancelled:
      return {};
    case NodeResult::State::pending:
      return is_end_ ? Evaluated{} : unknown();
    case NodeResult::State::unknown:
      return unknown();
    case NodeResult::State::unchanged:
    case NodeResult::State::changed:
      break;
  }
  if (now_.facts == nullptr || now_.facts->is_plan) return unknown();
  EvaluationError error;
  error.message =
      fmt::format("step `{}` ended without its output `{}`", (*now_.nodes)[node].id, reference.output);
  error.help =
      "not every run of that step has it: see its reference page, or report it to the plugin's author";
  throw error;
}

Diagnostic diagnose(const Source &source, const EvaluationError &error, const Spot &otherwise) {
  const Spot &string = error.tree == nullptr ? otherwise : error.tree->spot;
  Diagnostic d = diagnose(source, string.line == 0 ? string : source.inside(string, error.begin, error.end),
                          "expression", error.message);
  d.help = error.help;
  return d;
}

}  // namespace pipes
