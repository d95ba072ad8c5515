#pragma once
#include "core/plan/bind.hpp"
#include "core/plan/plan_impl.hpp"

#include <string>
#include <unordered_set>
#include <vector>

namespace pipes {

/// Checks what a step is given against what its plugin takes, as far as it is known before a run.
class ParameterChecker {
 public:
  ParameterChecker(const Plan::Impl &impl, Binder &binder, Diagnostics &diagnostics)
      : impl_(impl), binder_(binder), diagnostics_(diagnostics), scope_(impl, {}) {}

  /// Binds and checks `with` of a step. `schema` nullptr: only the names in it are looked up.
  void check(Step &, std::uint32_t index, const StepSchema *schema);
  /// Values that differ from instance to instance, once those are known.
  void check_instances(const Step &, std::uint32_t index);
  /// No line that holds a secret's value may be shown.
  void hide_secret_lines();
  /// What stands in the file for parameters that are secret.
  std::vector<std::string> secret_values;

 private:
  struct PerInstance {
    std::uint32_t step;
    const Param *param;
    const Tree *tree;
  };
  /// What a value is for, put into words only when something is wrong with it.
  struct Subject {
    const Param &param;
    const std::string &owner;  // the plugin's step; with `instance`, that of the file
    const Subject *container = nullptr;
    std::size_t item = 0;              // in a list, from 0
    const std::string *key = nullptr;  // in a map
    const std::string *instance = nullptr;
    std::string text() const;
  };

  void parameter(const Tree::Key &, Tree &, const StepSchema &, const Context &);
  void value(const Subject &, Tree &, const Context &);
  void items(const Subject &, Tree &, const Context &);
  void literal_secret(const Subject &, const Tree &);
  void secret_goes(const Param &, const Known &, const StepSchema &);
  void static_type(const Subject &, const Tree &, Value::Kind);
  bool try_value(const Subject &, const Tree &);
  void hide_lines(std::uint32_t first, std::uint32_t last);
  void unknown_parameter(const Tree::Key &, const Tree &, const StepSchema &);
  Diagnostic &report(const Spot &, std::string id, std::string message);

  const Plan::Impl &impl_;
  Binder &binder_;
  Diagnostics &diagnostics_;
  PlanScope scope_;
  const StepSchema *schema_ = nullptr;  // of the step at hand
  std::vector<PerInstance> per_instance_;
  bool is_item_ = false;  // a value in a list or map is at hand
  std::unordered_set<std::uint32_t> secret_lines_;
};

}  // namespace pipes
