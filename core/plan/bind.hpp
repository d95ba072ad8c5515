#pragma once
// Gives every name in a pipeline its meaning, and says what is known of each value before a run.
#include "core/pipeline/pipeline.hpp"
#include "core/schema/schema.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pipes {

/// A step's output that something reads.
struct StepUse {
  std::uint32_t step = 0;
  const Expression *key = nullptr;  // of one instance; nullptr: of all there are
  Spot spot;
};

/// What is known of a value before anything runs.
struct Known {
  std::optional<Value::Kind> kind;  // nullopt: only a run can tell
  bool needs_run = false;           // depends on outputs or on the run itself
  bool needs_each = false;          // differs from instance to instance
  std::optional<Spot> secret;       // where it names a secret
};

/// Where an expression stands decides what it may name.
struct Context {
  enum class Kind { parameter, condition, for_each, outputs };
  Kind kind = Kind::parameter;
  std::uint32_t step = 0;  // not of outputs
};

class Binder {
 public:
  /// `schemas` has one pointer a step; nullptr: nothing is known of its outputs.
  Binder(const Pipeline &, const std::vector<const StepSchema *> &schemas, Diagnostics &);

  /// Binds the references in an expression that stands in the TOML string at `string`.
  Known bind(Expression &, const Context &, const Spot &string);
  Known bind(Tree &, const Context &);

  /// The index of a step of that id.
  std::optional<std::uint32_t> find_step(std::string_view id) const;
  /// "did you mean …"; costly, so that only the first errors of a file get one.
  std::string suggest_step(std::string_view id);

  std::vector<StepUse> uses;  // what was bound since they were last taken
  std::vector<bool> wanted_secrets;

 private:
  using Names = std::unordered_map<std::string_view, std::uint32_t>;
  struct Here {
    const Context &context;
    const Spot &string;
  };

  Known expression(Expression &, const Here &);
  Known reference(Expression &, const Here &);
  Known variable(Expression &, const Here &);
  Known secret(Expression &, const Here &);
  Known step_output(Expression &, const Here &);
  Known each(Expression &, const Here &);
  Known run(Expression &, const Here &);
  Known pipeline_fact(Expression &, const Here &);
  Known operands(Expression &, const Here &);
  Known instance_key(Expression &, const Here &);
  void check_operands(const Expression &, const std::vector<Known> &, const Here &);
  Known members(Expression &, std::size_t from, Known, const Here &);

  /// The segment that must be a name, or nullptr after a report.
  const Expression::Segment *name_at(const Expression &, std::size_t index, std::string_view what,
                                     const Here &);
  Spot spot(const Here &, std::size_t begin, std::size_t end) const;
  Diagnostic &report(const Here &, std::size_t begin, std::size_t end, std::string id, std::string message);
  std::string suggest(std::string_view word, const std::vector<std::string> &choices);

  const Pipeline &pipeline_;
  const std::vector<const StepSchema *> &schemas_;
  Diagnostics &diagnostics_;
  Names variables_, secrets_, steps_;
  int suggestions_ = 0;
};

}  // namespace pipes
