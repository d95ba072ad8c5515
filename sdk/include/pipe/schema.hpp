#pragma once
// What a step says of itself, declared once: it parses the parameters and is rendered, while the
// plugin is compiled, into the JSON of the section `pipemeta`.
#include <pipe/types.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace pipes::sdk {

/// What people read of a parameter or output, and what a value must be. All but `help` may be left out.
struct Doc {
  std::string_view help;
  std::string_view format{};       // "image", "uri", "platform", "port" …: for people and completion
  std::optional<long long> min{};  // durations in milliseconds, sizes in bytes
  std::optional<long long> max{};
  std::string_view fallback{};    // the default, as JSON text: "3", "\"newer\"", "[]"
  std::string_view pattern{};     // of the whole text
  std::string_view choices{};     // separated by spaces
  std::string_view examples{};    // one a line
  std::string_view aliases{};     // earlier names, separated by spaces
  std::string_view deprecated{};  // what to use instead
  std::string_view since{};       // version of the step that has it first
};

template <class Owner, class T>
struct Field {
  std::string_view name;
  T Owner::*member;
  Doc doc;
  using Type = TypeOf<T>;
};

template <class Owner, class T>
consteval Field<Owner, T> field(std::string_view name, T Owner::*member, Doc doc) {
  return {name, member, doc};
}

/// A step: `constexpr Schema kTag{"tag", "0.1.0", "Name an image", std::tuple{field(…)…}, std::tuple{…}};`
template <class Params, class Outputs>
struct Schema {
  std::string_view name, version, help;
  Params params;
  Outputs outputs;
};
template <class P, class O>
Schema(std::string_view, std::string_view, std::string_view, P, O) -> Schema<P, O>;

/// Everything below runs in the compiler only.
namespace render {

/// Text that is counted on a first pass and written on a second.
struct Out {
  char *to = nullptr;
  std::size_t size = 0;

  constexpr void raw(char c) {
    if (to) to[size] = c;
    ++size;
  }
  constexpr void raw(std::string_view text) {
    for (char c : text) raw(c);
  }
  constexpr void text(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    raw('"');
    for (char c : text) {
      if (c == '"' || c == '\\') raw('\\');
      if (c >= 0 && c < ' ') {
        raw("\\u00");
        raw(kHex[static_cast<std::size_t>(c) / 16]);
        raw(kHex[static_cast<std::size_t>(c) % 16]);
      } else {
        raw(c);
      }
    }
    raw('"');
  }
  constexpr void number(long long value) {
    if (value < 0) raw('-');
    if (value <= -10 || value >= 10) magnitude(value / 10);
    raw(static_cast<char>('0' + (value % 10 < 0 ? -(value % 10) : value % 10)));
  }
  constexpr void key(std::string_view name) {
    raw(',');
    text(name);
    raw(':');
  }
  constexpr void member(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    key(name);
    text(value);
  }
  constexpr void list(std::string_view name, std::string_view values, char separator) {
    if (values.empty()) return;
    key(name);
    raw('[');
    bool first = true;
    while (!values.empty()) {
      const auto end = values.find(separator);
      const auto value = values.substr(0, end);
      values = end == std::string_view::npos ? std::string_view{} : values.substr(end + 1);
      if (value.empty()) continue;
      if (!first) raw(',');
      first = false;
      text(value);
    }
    raw(']');
  }

 private:
  constexpr void magnitude(long long value) {
    if (value <= -10 || value >= 10) magnitude(value / 10);
    raw(static_cast<char>('0' + (value % 10 < 0 ? -(value % 10) : value % 10)));
  }
};

constexpr bool is_name(std::string_view name, char joint) {
  if (name.empty() || name.front() < 'a' || name.front() > 'z') return false;
  for (char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == joint)) return false;
  return true;
}

constexpr bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  bool digits = false;
  for (char c : text) {
    if (c >= '0' && c <= '9')
      digits = true;
    else if (c != '.' && c != 'e' && c != '-' && c != '+')
      return false;
  }
  return digits;
}

/// Whether the default reads as JSON of that type; `.fallback = "newer"` lacks its quotes.
constexpr bool fits(std::string_view type, std::string_view json) {
  const auto between = [json](char open, char close) {
    return json.size() >= 2 && json.front() == open && json.back() == close;
  };
  if (json == "null") return true;
  if (type == "boolean") return json == "true" || json == "false";
  if (type == "list") return between('[', ']');
  if (type == "map") return between('{', '}');
  if (type == "integer" || type == "number") return is_number(json);
  if (type == "duration" || type == "size") return is_number(json) || between('"', '"');
  return between('"', '"');
}

template <class... Fields>
constexpr bool unique(const Fields &...fields) {
  const std::array<std::string_view, sizeof...(fields)> names{fields.name...};
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (names[i] == names[j]) return false;
  return true;
}

/// A mistake in a declaration ends the compilation at one of these `throw`s, which the compiler quotes.
template <class F>
constexpr void check(const F &field) {
  if (!is_name(field.name, '_')) throw "a field's name is of a-z, 0-9 and _";
  if (field.doc.help.empty()) throw "a field needs a help text";
  if (!field.doc.fallback.empty() && !fits(F::Type::json, field.doc.fallback))
    throw "a field's fallback is not JSON of the field's type: text needs its quotes";
}

template <class F>
constexpr void head(Out &out, const F &field) {
  check(field);
  out.raw("{\"name\":");
  out.text(field.name);
  out.member("type", F::Type::json);
  out.member("item", F::Type::item);
}

template <class F>
constexpr void param(Out &out, const F &field) {
  const Doc &doc = field.doc;
  head(out, field);
  if (!F::Type::optional && doc.fallback.empty()) out.key("required"), out.raw("true");
  if (F::Type::secret) out.key("secret"), out.raw("true");
  if (!doc.fallback.empty()) out.key("default"), out.raw(doc.fallback);
  out.member("format", doc.format);
  if (doc.min) out.key("minimum"), out.number(*doc.min);
  if (doc.max) out.key("maximum"), out.number(*doc.max);
  out.member("pattern", doc.pattern);
  out.list("choices", doc.choices, ' ');
  out.list("examples", doc.examples, '\n');
  out.list("aliases", doc.aliases, ' ');
  out.member("deprecated", doc.deprecated);
  out.member("since", doc.since);
  out.member("help", doc.help);
  out.raw('}');
}

template <class F>
constexpr void output(Out &out, const F &field) {
  static_assert(!F::Type::secret, "an output is shown: it cannot be a secret");
  head(out, field);
  out.member("format", field.doc.format);
  out.member("help", field.doc.help);
  out.raw('}');
}

struct Operations {
  bool plan, run, undo;
};

template <class S>
constexpr void step(Out &out, const S &schema, Operations has) {
  if (!is_name(schema.name, '-')) throw "a step's name is of a-z, 0-9 and -";
  if (schema.version.empty() || schema.help.empty()) throw "a step needs a version and a help text";
  if (!std::apply([](const auto &...f) { return render::unique(f...); }, schema.params) ||
      !std::apply([](const auto &...f) { return render::unique(f...); }, schema.outputs))
    throw "two fields of one name";
  out.raw("{\"pipe\":1,\"abi\":[");
  out.number(PIPE_ABI_MAJOR);
  out.raw(',');
  out.number(PIPE_ABI_MINOR);
  out.raw(']');
  out.member("step", schema.name);
  out.member("version", schema.version);
  out.member("help", schema.help);
  out.key("operations");
  out.raw('[');
  if (has.plan) out.raw("\"plan\",");
  out.raw("\"run\"");
  if (has.undo) out.raw(",\"undo\"");
  out.raw(']');
  out.key("params");
  out.raw('[');
  bool first = true;
  const auto comma = [&] { first ? void() : out.raw(','), first = false; };
  std::apply([&](const auto &...f) { ((comma(), param(out, f)), ...); }, schema.params);
  out.raw(']');
  out.key("outputs");
  out.raw('[');
  first = true;
  std::apply([&](const auto &...f) { ((comma(), output(out, f)), ...); }, schema.outputs);
  out.raw("]}");
}

}  // namespace render
}  // namespace pipes::sdk
