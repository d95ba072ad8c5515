#include "core/run/resumption.hpp"

#include "core/run/redactor.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

using State = NodeResult::State;

bool is_masked(const Value &value) {
  switch (value.kind()) {
    case Value::Kind::string:
      return value.as_string().find(Redactor::kMask) != std::string::npos;
    case Value::Kind::list:
      return std::ranges::any_of(value.as_list(), is_masked);
    case Value::Kind::map:
      return has_masked(value.as_map());
    default:
      return false;
  }
}

const Value *find(const Value::Map &map, const std::string &name) {
  const auto at = std::ranges::find(map, name, &Value::Map::value_type::first);
  return at == map.end() ? nullptr : &at->second;
}

/// The first name whose value is not the same in both.
std::string first_difference(const Value::Map &before, const Value::Map &now) {
  for (const auto &[name, value] : now) {
    const Value *old = find(before, name);
    if (old == nullptr || *old != value) return name;
  }
  for (const auto &[name, value] : before) {
    if (find(now, name) == nullptr) return name;
  }
  return {};
}

}  // namespace

bool has_masked(const Value::Map &map) {
  return std::ranges::any_of(map, [](const auto &pair) { return is_masked(pair.second); });
}

Value::Map shown_params(const StepSchema *schema, const Value::Map &params) {
  Value::Map shown = params;
  for (auto &[name, value] : shown) {
    const Param *param = schema == nullptr ? nullptr : schema->param(name);
    if (param != nullptr && param->secret && !is_empty(value)) value = Redactor::kMask;
  }
  return shown;
}

Value::Map given_params(const StepSchema *schema, const Value::Map &shown) {
  Value::Map given;
  for (const auto &[name, value] : shown) {
    if (is_empty(value)) continue;
    const Param *param = schema == nullptr ? nullptr : schema->param(name);
    if (param == nullptr)
      given.emplace_back(name, value);
    else if (!param->fallback || *param->fallback != value)
      given.emplace_back(name, as_written(*param, value));
  }
  return given;
}

Resumption::Judgement Resumption::judge(std::uint32_t node, const Value::Map &params,
                                        const std::vector<NodeResult> &results) {
  const auto at = past_.steps.find(plan_.nodes[node].id);
  const PastRun::Step *step = at == past_.steps.end() ? nullptr : &at->second;
  std::string why = reason(node, step, params, results);
  if (!why.empty()) return {nullptr, std::move(why)};
  kept_[node] = true;
  return {step, fmt::format("it ended well in run {}, and nothing before it has changed", past_.id)};
}

std::string Resumption::reason(std::uint32_t node, const PastRun::Step *step, const Value::Map &params,
                               const std::vector<NodeResult> &results) {
  const Node &what = plan_.nodes[node];
  if (step == nullptr) return "that run did not get to it";
  if (step->undone) return "it was rolled back";
  if (step->state == State::skipped) return "it was skipped, and is not any more";
  if (step->state != State::changed && step->state != State::unchanged)
    return step->state == State::failed ? "it had failed" : "it was cancelled";
  if (step->uses != what.uses) return fmt::format("it used `{}`", step->uses);
  const std::string differs = first_difference(step->params, mask_(shown_params(what.schema, params)));
  if (!differs.empty()) return fmt::format("its `{}` is not what it was", differs);
  if (has_masked(step->params)) return "it is given a secret, which may have been replaced since";
  if (has_masked(step->outputs)) return "it gives a secret, which is not kept";
  if (const auto before = changed_before(node, results)) {
    return fmt::format("`{}` before it changed something", plan_.nodes[*before].id);
  }
  return {};
}

std::optional<std::uint32_t> Resumption::changed_before(std::uint32_t node,
                                                        const std::vector<NodeResult> &results) {
  for (const std::uint32_t need : plan_.nodes[node].needs) {
    if (!plan_.nodes[need].barrier) {
      if (results[need].state == State::changed && !kept_[need]) return need;
      continue;
    }
    auto known = barriers_.find(need);
    if (known == barriers_.end()) known = barriers_.emplace(need, changed_before(need, results)).first;
    if (known->second) return known->second;
  }
  return std::nullopt;
}

}  // namespace pipes
