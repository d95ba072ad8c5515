#pragma once
// Pipeline + schemas -> Plan: the graph of step instances that will run.
#include "core/base/diagnostic.hpp"
#include "core/base/value.hpp"
#include "core/pipeline/retry.hpp"
#include "core/plugin/registry.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pipes {

/// One instance of a step.
struct Node {
  std::string id;    // pull, or pull["alpine:3.20"]
  std::string step;  // pull: the step of the file it came from
  std::string uses;  // the plugin step
  std::string key;   // for_each key, may be empty
  std::filesystem::path plugin;
  const StepSchema *schema = nullptr;  // owned by the PluginRegistry
  std::vector<std::uint32_t> needs;    // indices of nodes that must have ended first; may be barriers
  Retry retry;
  std::optional<std::chrono::milliseconds> timeout;  // of one attempt
  std::string pool;
  bool rollback = false;
  bool finally = false;
  bool barrier = false;      // no process, not shown, ends at once; fails if one of its needs failed
  std::uint32_t source = 0;  // index of the step in the file, for the plan's own use
};

/// What happened to a node, as far as later nodes may ask.
struct NodeResult {
  enum class State { pending, unchanged, changed, skipped, failed, cancelled, unknown };
  State state = State::pending;
  Value::Map outputs;
};

struct RunFacts {
  std::string id, status;  // ${run.id}; ${run.status}: "ok" | "failed" | "cancelled", for finally
  bool is_plan = false;    // in which a step that is up to date need not tell its outputs
};

class Plan {
 public:
  std::string name, description;
  std::string file;         // as given; empty for `pipe step`
  std::vector<Node> nodes;  // in file order, instances of a step together; finally last
  std::map<std::string, int> pools;
  std::vector<std::string> secret_values;  // to redact wherever they appear; resolved values

  struct Params {
    Value::Map values;                 // checked, defaults applied
    std::vector<std::string> unknown;  // names that depend on outputs nobody knows yet
    std::vector<Diagnostic> problems;  // a value that turned out wrong (type, range)
  };
  /// The parameters of a node, once everything that it needs has ended. May hold secrets.
  Params params(std::uint32_t node, const std::vector<NodeResult> &, const RunFacts &) const;
  /// Whether `if` lets it run; nullopt: depends on something unknown. Throws pipes::Error.
  std::optional<bool> condition(std::uint32_t node, const std::vector<NodeResult> &, const RunFacts &) const;
  /// [outputs], as far as they are known.
  Value::Map outputs(const std::vector<NodeResult> &, const RunFacts &) const;

  Plan();
  ~Plan();
  Plan(Plan &&) noexcept;
  Plan &operator=(Plan &&) noexcept;
  struct Impl;  // templates and expressions
  std::unique_ptr<Impl> impl;
};

struct Inputs {
  std::vector<std::pair<std::string, std::string>> set;  // --set name=value, in order
  std::vector<std::string> var_files;
};

/// Reads, checks and plans a file: every problem in one pass. No plan if there is an error among the
/// diagnostics.
struct PlanOutcome {
  std::optional<Plan> plan;
  Diagnostics diagnostics;
};
enum class SecretNeed {
  placeholder,  // not looked for: `pipe check`
  needed,
  helpful,  // `pipe down`: whoever lost a password still takes back what he can
};
PlanOutcome make_plan(const std::string &file, const Inputs &, PluginRegistry &, SecretNeed);

/// A plan of one step from checked parameters, for `pipe step`.
Plan single_step_plan(const std::string &step, const PluginRegistry::Found &, Value::Map params,
                      std::vector<std::string> secret_values);

}  // namespace pipes
