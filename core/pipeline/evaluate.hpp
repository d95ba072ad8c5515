#pragma once
// What expressions and templates come to.
#include "core/pipeline/expression.hpp"
#include "core/pipeline/tree.hpp"

#include <string>

namespace pipes {

/// A value, or that it depends on something nobody knows yet.
struct Evaluated {
  Value value;
  bool unknown = false;
};

/// What a name stands for at the moment.
class Scope {
 public:
  virtual ~Scope() = default;
  /// `key` is that of steps.x[key]. Throws EvaluationError.
  virtual Evaluated look_up(const Reference &, const Value &key) const = 0;
};

/// What is wrong with the value of bytes [begin, end) of the text.
struct EvaluationError {
  std::string message, help;
  std::size_t begin = 0, end = 0;
  const Tree *tree = nullptr;  // whose text it is; not set by evaluate(Expression)
};

/// Every reference must be bound. Throws EvaluationError.
Evaluated evaluate(const Expression &, const Scope &);
/// Of a list or map, members that come to nothing (an optional secret that is not there) are left out.
/// Unknown if anything in it is. Throws EvaluationError.
Evaluated evaluate(const Tree &, const Scope &);

}  // namespace pipes
