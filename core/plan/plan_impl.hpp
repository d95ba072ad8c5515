#pragma once
// What a Plan keeps of its file, so that values can be worked out as the run goes on.
#include "core/pipeline/evaluate.hpp"
#include "core/pipeline/pipeline.hpp"
#include "core/plan/plan.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pipes {

/// A step's instances: nodes [first, first + count). Without for_each there is one, without a key.
struct Instances {
  std::uint32_t first = 0, count = 1;
  bool keyed = false;
  bool is_open = false;  // which there are is not known: a variable has no value yet, or for_each is wrong
  std::optional<std::uint32_t> barrier;  // the node that ends when all of them have
  std::vector<std::string> keys;
  std::vector<Value> values;
  std::unordered_map<std::string_view, std::uint32_t> by_key;  // into `keys`
};

struct Plan::Impl {
  Pipeline pipeline;
  std::vector<std::optional<Value>> variables;
  std::vector<std::optional<std::string>> secrets;
  bool secrets_are_known = false;
  std::vector<Instances> instances;  // one a step
  std::optional<Value::Map> fixed;   // `pipe step`: the parameters, there is no file
};

/// Names as they stand for one instance of a step; for [outputs] and for_each there is no instance.
class PlanScope : public Scope {
 public:
  struct Now {
    const std::vector<Node> *nodes = nullptr;
    const std::vector<NodeResult> *results = nullptr;  // nullptr: nothing has run yet
    const RunFacts *facts = nullptr;
  };
  PlanScope(const Plan::Impl &impl, Now now) : impl_(impl), now_(now) {}

  /// Chooses the instance that `each` means.
  void choose(std::uint32_t step, std::uint32_t instance) {
    step_ = step;
    instance_ = instance;
  }
  /// In [[finally]] and [outputs] what has not run by now never will.
  void at_the_end() { is_end_ = true; }

  Evaluated look_up(const Reference &, const Value &key) const override;

 private:
  Evaluated output(const Reference &, const Value &key) const;
  Evaluated output_of(std::uint32_t node, const Reference &) const;

  const Plan::Impl &impl_;
  Now now_;
  std::uint32_t step_ = 0, instance_ = 0;
  bool is_end_ = false;
};

/// The index of the instance of that key. Throws EvaluationError.
std::uint32_t find_instance(const Instances &, const Step &, const Value &key);

Diagnostic diagnose(const Source &, const EvaluationError &, const Spot &otherwise);

}  // namespace pipes
