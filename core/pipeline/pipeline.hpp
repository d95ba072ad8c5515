#pragma once
// A pipeline file as a person wrote it (docs/reference/pipeline-file.md), read but not yet resolved.
#include "core/pipeline/retry.hpp"
#include "core/pipeline/tree.hpp"
#include "core/schema/schema.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pipes {

/// [vars.x]. What values it takes is said as for a parameter of a step; `param.help` is its description.
struct Variable {
  Param param;
  std::string env;  // the environment variable that may set it
  Spot spot;        // of its name
};

/// [secrets.x]: where to look, in order.
struct SecretSource {
  enum class Kind { env, file, command };
  Kind kind = Kind::env;
  std::string name;                  // of the environment variable or file
  std::vector<std::string> command;  // program and arguments; no shell
};
struct SecretDeclaration {
  std::string name, description;
  std::vector<SecretSource> from;
  bool optional = false;
  Spot spot;
};

/// [[step]] or [[finally]].
struct Step {
  struct Need {
    std::string id;
    Spot spot;
  };
  std::string id, uses;
  Spot spot, id_spot, uses_spot;
  std::optional<std::vector<Need>> needs;  // absent: after the step above
  std::optional<Expression> condition;
  Spot condition_spot;
  std::optional<Tree> for_each;
  Retry retry;
  std::optional<std::chrono::milliseconds> timeout;
  std::string pool;
  Spot pool_spot;
  bool rollback = false, finally = false;
  Tree with;  // a map
};

struct Pipeline {
  Source source;
  std::string name, description;
  std::vector<Variable> variables;
  std::vector<SecretDeclaration> secrets;
  std::map<std::string, int> pools;
  std::vector<Step> steps;  // [[step]] in the order written, then [[finally]]
  Tree outputs;             // a map
};

/// Reads a file's structure. Everything wrong with it is added to `diagnostics`; what could be read is
/// returned. Plugins are not asked and names not looked up.
Pipeline read_pipeline(Source, Diagnostics &diagnostics);

/// What a file asks for, for `pipe run FILE --help`. Throws pipes::Error{Exit::invalid} when the file
/// cannot be read; mistakes beyond its variables are left to `pipe check`.
struct PipelineFacts {
  std::string name, description;
  std::vector<Variable> variables;
  std::vector<SecretDeclaration> secrets;
};
PipelineFacts describe_pipeline(const std::string &file);

}  // namespace pipes
