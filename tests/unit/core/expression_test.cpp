#include "core/pipeline/expression.hpp"
#include "core/pipeline/evaluate.hpp"
#include "core/pipeline/tree.hpp"

#include <gtest/gtest.h>

namespace pipes {
namespace {

/// vars are bound by hand here: `vars.NAME` is what the map has; `vars.unknown` nobody knows.
class Names : public Scope {
 public:
  explicit Names(Value::Map values) : values_(std::move(values)) {}
  Evaluated look_up(const Reference &reference, const Value &) const override {
    const Value *found = values_.find(reference.output);
    return found == nullptr ? Evaluated{{}, true} : Evaluated{*found};
  }

 private:
  Value values_;
};

void bind(Expression &e) {
  if (e.op == Expression::Op::reference) {
    e.reference.root = Reference::Root::variable;
    e.reference.output = e.segments.at(1).name;
    e.reference.first_member = 2;
  }
  for (Expression &argument : e.arguments) bind(argument);
}

const Names &names() {
  static const Names all({{"port", 5000},
                          {"name", "registry"},
                          {"on", true},
                          {"none", Value()},
                          {"list", Value::List{"a", "b"}},
                          {"map", Value::Map{{"k", Value::List{1, 2}}}}});
  return all;
}

/// What it comes to as JSON, "?" if unknown, "! message" if wrong.
std::string value_of(const std::string &text) {
  try {
    Expression e = parse_expression(text);
    bind(e);
    const Evaluated result = evaluate(e, names());
    return result.unknown ? "?" : to_json(result.value);
  } catch (const SyntaxError &e) {
    return "! " + e.message + (e.help.empty() ? "" : " (" + e.help + ")");
  } catch (const EvaluationError &e) {
    return "! " + e.message + (e.help.empty() ? "" : " (" + e.help + ")");
  }
}

std::string text_of(const std::string &text) {
  Tree tree;
  tree.scalar = text;
  Diagnostics diagnostics;
  const Source source("f", "x = \"" + text + "\"");
  tree.spot = {1, 5, 1, 1};
  read_templates(tree, source, diagnostics);
  if (!diagnostics.empty()) return "! " + diagnostics.front().message;
  if (tree.text) {
    for (Template::Part &part : tree.text->parts) {
      if (part.expression) bind(*part.expression);
    }
  }
  const Evaluated result = evaluate(tree, names());
  return result.unknown ? "?" : to_json(result.value);
}

TEST(Expression, ComparesValues) {
  EXPECT_EQ(value_of("vars.port == 5000"), "true");
  EXPECT_EQ(value_of("vars.port != 5000.0"), "false");
  EXPECT_EQ(value_of("vars.name == 'registry'"), "true");
  EXPECT_EQ(value_of("vars.name == \"x\""), "false");
  EXPECT_EQ(value_of("vars.list == ['a', 'b']"), "true");
}

TEST(Expression, CombinesConditions) {
  EXPECT_EQ(value_of("!vars.on || vars.port == 5000 && vars.on"), "true");
  EXPECT_EQ(value_of("!(vars.on || vars.on)"), "false");
  EXPECT_EQ(value_of("! ! vars.on"), "true");
}

TEST(Expression, BindsAndBeforeOr) {
  EXPECT_EQ(value_of("true || false && false"), "true");
}

TEST(Expression, LooksInside) {
  EXPECT_EQ(value_of("'a' in vars.list"), "true");
  EXPECT_EQ(value_of("'k' in vars.map"), "true");
  EXPECT_EQ(value_of("'gist' in vars.name"), "true");
  EXPECT_EQ(value_of("'a' in vars.port"), "! nothing is in an integer");
}

TEST(Expression, MatchesAnywhereInTheText) {
  EXPECT_EQ(value_of("vars.name matches '^reg'"), "true");
  EXPECT_EQ(value_of("vars.name matches '^gist'"), "false");
  EXPECT_EQ(value_of("vars.name matches vars.name"), "! `matches` takes a regular expression in quotes");
}

TEST(Expression, CountsCharactersItemsAndKeys) {
  EXPECT_EQ(value_of("len(vars.list)"), "2");
  EXPECT_EQ(value_of("len('äö')"), "2");
  EXPECT_EQ(value_of("len(vars.map) == 1"), "true");
  EXPECT_EQ(value_of("len(vars.port)"), "! an integer has no length");
}

TEST(Expression, GoesIntoValues) {
  EXPECT_EQ(value_of("vars.list[1]"), "\"b\"");
  EXPECT_EQ(value_of("vars.map.k[0]"), "1");
  EXPECT_EQ(value_of("vars.map['k']"), "[1,2]");
  EXPECT_EQ(value_of("vars.list[2]"), "! the list has 2 items, none of index 2");
  EXPECT_EQ(value_of("vars.map.kk"), "! the map has no key `kk` (did you mean `k`?)");
  EXPECT_EQ(value_of("vars.port.x"), "! an integer has no `x`");
}

TEST(Expression, KnowsWhatDoesNotDependOnTheUnknown) {
  EXPECT_EQ(value_of("vars.unknown == 1"), "?");
  EXPECT_EQ(value_of("vars.unknown && false"), "false");
  EXPECT_EQ(value_of("vars.unknown || true"), "true");
  EXPECT_EQ(value_of("vars.unknown || false"), "?");
  EXPECT_EQ(value_of("len(vars.unknown)"), "?");
}

TEST(Expression, NothingIsFalseAndEmpty) {
  EXPECT_EQ(value_of("!vars.none"), "true");
  EXPECT_EQ(value_of("len(vars.none)"), "0");
  EXPECT_EQ(value_of("vars.none.x == vars.none"), "true");
}

TEST(Expression, SaysWhatToWriteInstead) {
  EXPECT_EQ(value_of("vars.a and vars.b"), "! there is no operator `and` (write `&&`)");
  EXPECT_EQ(value_of("vars.a or vars.b"), "! there is no operator `or` (write `||`)");
  EXPECT_EQ(value_of("not vars.a"), "! there is no operator `not` (write `!`)");
  EXPECT_EQ(value_of("vars.a = 1"),
            "! there is no operator `=` (operators are == != in matches && || ! len())");
  EXPECT_EQ(value_of("vars.a > 1"),
            "! there is no operator `>` (operators are == != in matches && || ! len())");
}

TEST(Expression, SaysWhatIsMissing) {
  EXPECT_EQ(value_of(""), "! expected a name or a value before the end");
  EXPECT_EQ(value_of("(vars.on"), "! expected `)` before the end");
  EXPECT_EQ(value_of("vars."), "! expected a name after the dot");
  EXPECT_EQ(value_of("'abc"), "! this text has no closing quote");
  EXPECT_EQ(value_of("vars.on vars.on"), "! expected an operator or the end, not `v`");
  EXPECT_EQ(value_of("1.2.3"), "! this is no number");
  EXPECT_EQ(value_of("vars.x matches '['").substr(0, 35), "! `[` is not a regular expression: ");
}

TEST(Expression, IsNotNestedForEver) {
  EXPECT_EQ(value_of(std::string(100000, '(')), "! this expression is nested too deeply");
  EXPECT_EQ(value_of(std::string(100000, '!')), "! this expression is nested too deeply");
  EXPECT_EQ(value_of(std::string(100000, '[')), "! this expression is nested too deeply");
  std::string index = "vars.x";
  for (int i = 0; i < 100; ++i) index += "[vars.x";
  EXPECT_EQ(value_of(index), "! this expression is nested too deeply");
}

TEST(Expression, IsNotLongForEver) {
  std::string text = "true";
  for (int i = 0; i < 5000; ++i) text += " && true";
  EXPECT_EQ(value_of(text), "! this expression is too long");
}

TEST(Template, AloneKeepsItsType) {
  EXPECT_EQ(text_of("${vars.port}"), "5000");
  EXPECT_EQ(text_of("${ vars.list }"), "[\"a\",\"b\"]");
}

TEST(Template, BesideTextBecomesText) {
  EXPECT_EQ(text_of("${vars.name}:${vars.port}"), "\"registry:5000\"");
  EXPECT_EQ(text_of("a ${vars.list} b"), R"("a [\"a\",\"b\"] b")");
  EXPECT_EQ(text_of("<${vars.none}>"), "\"<>\"");
}

TEST(Template, IsNotResolvedTwice) {
  EXPECT_EQ(text_of("$${vars.port}"), "\"${vars.port}\"");
  EXPECT_EQ(text_of("costs $5 $$ $"), "\"costs $5 $$ $\"");
  EXPECT_EQ(text_of("$${x}${vars.port}"), "\"${x}5000\"");
}

TEST(Template, MayHoldBracesInQuotes) {
  EXPECT_EQ(text_of("${vars.name == '}'}"), "false");
}

TEST(Template, SaysWhatIsWrong) {
  EXPECT_EQ(text_of("${vars.x"), "! this `${` is never closed");
  EXPECT_EQ(text_of("${"), "! this `${` is never closed");
  EXPECT_EQ(text_of("${}"), "! expected a name or a value, not `}`");
  EXPECT_EQ(text_of("${vars.x y}"), "! expected `}`, not `y`");
}

TEST(Template, ReportsEachMistake) {
  std::vector<SyntaxError> errors;
  parse_template("${} and ${vars.} and ${vars.ok}", errors);
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_EQ(errors[0].begin, 2U);
  EXPECT_EQ(errors[1].begin, 15U);
}

/// The place of `what` in the value of the string that begins at line:column.
std::string place_in(const std::string &text, Spot string, std::size_t begin, std::size_t end) {
  const Spot spot = Source("f", text).inside(string, begin, end);
  return std::to_string(spot.line) + ":" + std::to_string(spot.column) + "+" + std::to_string(spot.length);
}

TEST(Source, FindsPlacesInPlainStrings) {
  EXPECT_EQ(place_in("k = \"abc\"", {1, 5, 1, 1}, 1, 3), "1:7+2");
  EXPECT_EQ(place_in("k = 'a\\nb'", {1, 5, 1, 1}, 3, 4), "1:9+1");
}

TEST(Source, CountsEscapesAsTheyAreWritten) {
  EXPECT_EQ(place_in(R"(k = "\t\u00e9x")", {1, 5, 1, 1}, 3, 4), "1:14+1");
  EXPECT_EQ(place_in(R"(k = "a\"b")", {1, 5, 1, 1}, 2, 3), "1:9+1");
  EXPECT_EQ(place_in("k = \"éx\"", {1, 5, 1, 1}, 2, 3), "1:7+1");
}

TEST(Source, FindsPlacesInStringsOfSeveralLines) {
  EXPECT_EQ(place_in("k = \"\"\"\none\ntwo three\"\"\"", {1, 5, 1, 3}, 8, 13), "3:5+5");
  EXPECT_EQ(place_in("k = \"\"\"one \\\n    two\"\"\"", {1, 5, 1, 2}, 4, 7), "2:5+3");
  EXPECT_EQ(place_in("k = '''\r\none\r\ntwo'''", {1, 5, 1, 3}, 5, 8), "3:1+3");
}

TEST(Source, StaysInTheFile) {
  EXPECT_EQ(place_in("k = \"a", {1, 5, 1, 1}, 0, 99), "1:6+1");
  EXPECT_EQ(place_in("k", {9, 9, 1, 9}, 0, 1), "1:2+1");
}

}  // namespace
}  // namespace pipes
