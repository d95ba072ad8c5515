#pragma once
// The closed expression language of `if` and ${…}: names, literals, == != in matches && || ! len().
// It has no loops and no functions of its own, so that every expression ends and can be checked.
#include "core/base/pattern.hpp"
#include "core/base/value.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// What a name stands for, once it is known (core/plan/bind.hpp). `index` is that of the variable,
/// secret or step.
struct Reference {
  enum class Root {
    unbound,
    variable,
    secret,
    step,
    each_key,
    each_value,
    run_id,
    run_status,
    down_command,
    constant
  };
  enum class Instances { only, one, all };  // steps.x, steps.x["key"], steps.x[*]
  Root root = Root::unbound;
  Instances instances = Instances::only;
  std::uint32_t index = 0;
  std::string output;              // of a step
  Value constant;                  // ${pipeline.name} and such
  std::uint32_t first_member = 0;  // segments from here on go into the value
};

struct Expression {
  enum class Op { literal, list, reference, negate, both, either, equal, not_equal, in, matches, len };
  /// `.name`, `[expression]` or `[*]`; the first is the name the reference begins with.
  struct Segment {
    enum class Kind { name, index, all };
    Kind kind = Kind::name;
    std::string name;
    std::uint32_t argument = 0;  // of an index: which of `arguments`
    std::uint32_t begin = 0, end = 0;
  };

  Op op = Op::literal;
  std::uint32_t begin = 0, end = 0;  // bytes of the text it was read from
  Value literal;
  std::vector<Expression> arguments;
  std::vector<Segment> segments;  // of a reference
  Reference reference;
  std::shared_ptr<const Pattern> pattern;  // of `matches`; shared by copies
};

/// What is wrong, with the bytes of the text that it is about.
struct SyntaxError {
  std::string message, help;
  std::size_t begin = 0, end = 0;
};

/// Reads an expression from `text` at `at`, which is moved behind it. Throws SyntaxError.
Expression parse_expression(std::string_view text, std::size_t &at);
/// The whole of `text`. Throws SyntaxError.
Expression parse_expression(std::string_view text);

/// Text with ${…} in it. A template of one ${…} alone keeps the type of its value.
struct Template {
  struct Part {
    std::string text;  // when there is no expression
    std::unique_ptr<Expression> expression;
  };
  std::vector<Part> parts;
  bool is_alone() const { return parts.size() == 1 && parts.front().expression; }
};

/// Whether parse_template would do anything.
bool has_template(std::string_view text);
/// All that is wrong is added to `errors`; such parts are left out. `$${` is a literal `${`.
Template parse_template(std::string_view text, std::vector<SyntaxError> &errors);

}  // namespace pipes
