#pragma once
// Going on with an earlier run: which of its steps need not run again.
#include "core/plan/plan.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace pipes {

/// What is known of an earlier run. There is no secret in it.
struct PastRun {
  struct Step {
    NodeResult::State state = NodeResult::State::pending;
    bool undone = false;  // rolled back afterwards
    std::string uses, summary;
    Value::Map params, outputs;  // masked
  };
  std::string id;
  std::map<std::string, Step> steps;  // those that ended, by id
};

/// The parameters of a node as events tell of them: those that are secrets by their declaration masked. Other
/// secrets are masked by the Reporter.
Value::Map shown_params(const StepSchema *, const Value::Map &);
/// Of those what was given for this step, as one writes it: neither defaults nor what is empty.
Value::Map given_params(const StepSchema *, const Value::Map &shown);

/// Decides for each step whether what the earlier run made of it stands: it ended well, it would be given the
/// same, no secret among it, and no step before it has changed anything since. What else may have changed in
/// the world is not asked: that is for a run from the start.
class Resumption {
 public:
  /// `redactor` knows the secrets of this run.
  Resumption(const Plan &plan, PastRun past, std::function<Value::Map(const Value::Map &)> mask)
      : plan_(plan), past_(std::move(past)), mask_(std::move(mask)) {}

  struct Judgement {
    const PastRun::Step *kept = nullptr;  // nullptr: it is to run
    std::string why;
  };
  /// For a node that is about to run, with everything before it at its end.
  Judgement judge(std::uint32_t node, const Value::Map &params, const std::vector<NodeResult> &);
  const std::string &run() const { return past_.id; }

 private:
  std::string reason(std::uint32_t node, const PastRun::Step *, const Value::Map &params,
                     const std::vector<NodeResult> &);
  /// A step among the needs of a node that changed something in this run; nullopt: none did.
  std::optional<std::uint32_t> changed_before(std::uint32_t node, const std::vector<NodeResult> &);

  const Plan &plan_;
  PastRun past_;
  std::function<Value::Map(const Value::Map &)> mask_;
  std::vector<bool> kept_ = std::vector<bool>(plan_.nodes.size());
  std::unordered_map<std::uint32_t, std::optional<std::uint32_t>> barriers_;  // what stands before each
};

/// Whether a value has a masked secret in it, so that it cannot be used.
bool has_masked(const Value::Map &);

}  // namespace pipes
