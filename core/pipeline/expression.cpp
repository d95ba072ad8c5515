#include "core/pipeline/expression.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <charconv>

namespace pipes {
namespace {

/// Expressions are written by hand: deeper nesting is a mistake or an attack on the stack.
constexpr int kMaxDepth = 64, kMaxOperators = 1000;

using Op = Expression::Op;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_part(char c) {
  return is_name_start(c) || is_digit(c) || c == '-';
}

class Parser {
 public:
  Parser(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  Expression parse() { return either(); }
  std::size_t at() const { return at_; }
  std::size_t skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
    return at_;
  }
  [[noreturn]] void fail(std::string message, std::string help = {}) {
    skip_space();
    std::size_t end = at_;
    while (end < text_.size() && is_name_part(text_[end])) ++end;
    throw SyntaxError{std::move(message), std::move(help), at_, std::max(end, at_ + 1)};
  }

 private:
  class Nested {
   public:
    explicit Nested(Parser &parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxDepth) parser_.fail("this expression is nested too deeply");
    }
    Nested(const Nested &) = delete;
    Nested &operator=(const Nested &) = delete;
    ~Nested() { --parser_.depth_; }

   private:
    Parser &parser_;
  };

  bool take(std::string_view token) {
    skip_space();
    if (text_.substr(at_, token.size()) != token) return false;
    // `in` must not be the beginning of `inside`.
    const std::size_t after = at_ + token.size();
    if (is_name_start(token.front()) && after < text_.size() && is_name_part(text_[after])) return false;
    at_ = after;
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) fail(fmt::format("expected `{}`{}", token, saw()));
  }
  std::string saw() {
    skip_space();
    if (at_ >= text_.size()) return " before the end";
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_name_part(text_[end]) && is_name_part(text_[at_])) ++end;
    return fmt::format(", not `{}`", text_.substr(at_, end - at_));
  }

  Expression combine(Op op, Expression left, Expression right) {
    if (++operators_ > kMaxOperators) fail("this expression is too long");
    Expression result;
    result.op = op;
    result.begin = left.begin;
    result.end = right.end;
    result.arguments.push_back(std::move(left));
    result.arguments.push_back(std::move(right));
    return result;
  }

  Expression either() {
    const Nested nested(*this);
    Expression left = both();
    while (take("||")) left = combine(Op::either, std::move(left), both());
    if (take("or")) fail("there is no operator `or`", "write `||`");
    return left;
  }

  Expression both() {
    Expression left = comparison();
    while (take("&&")) left = combine(Op::both, std::move(left), comparison());
    if (take("and")) fail("there is no operator `and`", "write `&&`");
    return left;
  }

  Expression comparison() {
    Expression left = unary();
    if (take("==")) return combine(Op::equal, std::move(left), unary());
    if (take("!=")) return combine(Op::not_equal, std::move(left), unary());
    if (take("in")) return combine(Op::in, std::move(left), unary());
    if (take("matches")) return matches(std::move(left));
    skip_space();
    if (at_ < text_.size() && std::string_view("<>=+*/%&|?").find(text_[at_]) != std::string_view::npos &&
        text_.substr(at_, 2) != "&&" && text_.substr(at_, 2) != "||") {
      fail(fmt::format("there is no operator `{}`", text_[at_]),
           "operators are == != in matches && || ! len()");
    }
    return left;
  }

  Expression matches(Expression left) {
    Expression result = combine(Op::matches, std::move(left), unary());
    const Expression &right = result.arguments.back();
    const auto wrong = [&](std::string message) {
      throw SyntaxError{std::move(message), {}, right.begin, right.end};
    };
    if (right.op != Op::literal || !right.literal.is_string()) {
      wrong("`matches` takes a regular expression in quotes");
    }
    try {
      result.pattern = std::make_shared<const Pattern>(right.literal.as_string());
    } catch (const Error &e) {
      wrong(e.message);
    }
    return result;
  }

  Expression unary() {
    skip_space();
    const std::size_t begin = at_;
    if (text_.substr(at_, 2) != "!=" && take("!")) {
      const Nested nested(*this);
      Expression result;
      result.op = Op::negate;
      result.arguments.push_back(unary());
      result.begin = static_cast<std::uint32_t>(begin);
      result.end = result.arguments.front().end;
      return result;
    }
    return primary();
  }

  Expression primary() {
    skip_space();
    const std::size_t begin = at_;
    Expression result;
    if (at_ >= text_.size()) fail("expected a name or a value before the end");
    const char c = text_[at_];
    if (take("(")) {
      result = either();
      expect(")");
    } else if (take("[")) {
      result = list();
    } else if (c == '"' || c == '\'') {
      result.literal = quoted();
    } else if (is_digit(c) || (c == '-' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
      result.literal = number();
    } else if (is_name_start(c)) {
      result = named();
    } else {
      fail("expected a name or a value" + saw());
    }
    result.begin = static_cast<std::uint32_t>(begin);
    result.end = static_cast<std::uint32_t>(at_);
    return result;
  }

  Expression list() {
    const Nested nested(*this);
    Expression result;
    result.op = Op::list;
    while (!take("]")) {
      if (!result.arguments.empty()) expect(",");
      if (take("]")) break;
      result.arguments.push_back(either());
    }
    return result;
  }

  Value quoted() {
    const char quote = text_[at_];
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("this text has no closing quote");
    const std::string_view content = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return content;
  }

  Value number() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '.')) ++end;
    const char *first = text_.data() + at_, *last = text_.data() + end;
    std::int64_t whole = 0;
    double real = 0;
    Value value;
    if (const auto r = std::from_chars(first, last, whole); r.ec == std::errc() && r.ptr == last) {
      value = whole;
    } else if (const auto d = std::from_chars(first, last, real); d.ec == std::errc() && d.ptr == last) {
      value = real;
    } else {
      fail("this is no number");
    }
    at_ = end;
    return value;
  }

  std::string_view name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name_part(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Expression named() {
    Expression result;
    const std::size_t begin = at_;
    const std::string_view first = name();
    if (first == "true" || first == "false") {
      result.literal = first == "true";
      return result;
    }
    if (first == "len" && take("(")) {
      result.op = Op::len;
      result.arguments.push_back(either());
      expect(")");
      return result;
    }
    if (first == "not") {
      at_ = begin;
      fail("there is no operator `not`", "write `!`");
    }
    result.op = Op::reference;
    add_segment(result, Expression::Segment::Kind::name, begin).name = first;
    segments(result);
    return result;
  }

  Expression::Segment &add_segment(Expression &reference, Expression::Segment::Kind kind, std::size_t begin) {
    Expression::Segment segment;
    segment.kind = kind;
    segment.begin = static_cast<std::uint32_t>(begin);
    segment.end = static_cast<std::uint32_t>(at_);
    reference.segments.push_back(std::move(segment));
    return reference.segments.back();
  }

  void segments(Expression &reference) {
    using Kind = Expression::Segment::Kind;
    while (at_ < text_.size()) {
      const std::size_t begin = at_;
      if (text_[at_] == '.') {
        ++at_;
        if (at_ >= text_.size() || !is_name_part(text_[at_])) fail("expected a name after the dot");
        const std::string_view word = name();
        add_segment(reference, Kind::name, begin + 1).name = word;
      } else if (text_[at_] == '[') {
        ++at_;
        if (take("*")) {
          expect("]");
          add_segment(reference, Kind::all, begin);
          continue;
        }
        const Nested nested(*this);
        reference.arguments.push_back(either());
        expect("]");
        add_segment(reference, Kind::index, begin).argument =
            static_cast<std::uint32_t>(reference.arguments.size() - 1);
      } else {
        return;
      }
    }
  }

  std::string_view text_;
  std::size_t at_;
  int depth_ = 0, operators_ = 0;
};

}  // namespace

Expression parse_expression(std::string_view text, std::size_t &at) {
  Parser parser(text, at);
  Expression result = parser.parse();
  at = parser.skip_space();
  return result;
}

Expression parse_expression(std::string_view text) {
  std::size_t at = 0;
  Expression result = parse_expression(text, at);
  if (at < text.size()) {
    Parser(text, at).fail(fmt::format("expected an operator or the end, not `{}`", text.substr(at, 1)));
  }
  return result;
}

bool has_template(std::string_view text) {
  return text.find("${") != std::string_view::npos;
}

Template parse_template(std::string_view text, std::vector<SyntaxError> &errors) {
  Template result;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) result.parts.push_back({std::move(literal), nullptr});
    literal.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t dollar = std::min(text.find('$', at), text.size());
    literal += text.substr(at, dollar - at);
    at = dollar;
    if (text.substr(at, 3) == "$${") {
      literal += "${";
      at += 3;
    } else if (text.substr(at, 2) == "${") {
      const std::size_t open = at;
      at += 2;
      try {
        auto expression = std::make_unique<Expression>(parse_expression(text, at));
        if (at >= text.size()) {
          throw SyntaxError{"this `${` is never closed", "a literal `${` is written `$${`", open, open + 2};
        }
        if (text[at] != '}') {
          Parser(text, at).fail(fmt::format("expected `}}`, not `{}`", text.substr(at, 1)));
        }
        ++at;
        flush();
        result.parts.push_back({{}, std::move(expression)});
      } catch (const SyntaxError &e) {
        const std::size_t close = text.find('}', open);
        if (close == std::string_view::npos) {
          errors.push_back({"this `${` is never closed", "a literal `${` is written `$${`", open, open + 2});
          at = text.size();
        } else {
          errors.push_back(e);
          at = close + 1;
        }
      }
    } else if (at < text.size()) {
      literal += '$';
      ++at;
    }
  }
  flush();
  return result;
}

}  // namespace pipes
