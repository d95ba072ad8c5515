#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/base/quantity.hpp"
#include "core/schema/schema.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

namespace pipes {
namespace {

constexpr std::array<std::pair<std::string_view, Type>, 9> kTypes{{{"string", Type::string},
                                                                   {"integer", Type::integer},
                                                                   {"number", Type::number},
                                                                   {"boolean", Type::boolean},
                                                                   {"duration", Type::duration},
                                                                   {"size", Type::size},
                                                                   {"path", Type::path},
                                                                   {"list", Type::list},
                                                                   {"map", Type::map}}};
constexpr std::size_t kLongestShown = 60;

/// What was given, for people: `the string "three"`; of a secret only its kind.
std::string describe(const Param &param, const Value &value) {
  const std::string kind(kind_name(value.kind()));
  if (param.secret) return with_article(kind);
  if (value.kind() == Value::Kind::list || value.kind() == Value::Kind::map) return with_article(kind);
  if (value.is_null()) return "nothing";
  std::string shown = to_json(value);
  if (shown.size() > kLongestShown) return with_article(fmt::format("{} of {} bytes", kind, shown.size()));
  return value.is_string() ? shown : fmt::format("the {} {}", kind, shown);
}

std::string quoted(const Param &param, const Value &value) {
  const std::string shown = param.secret ? std::string() : to_json(value);
  return shown.empty() || shown.size() > kLongestShown ? "the one given" : shown;
}

std::string wrong_type(const Param &param, const Value &value) {
  std::string result = fmt::format("takes {}, not {}", with_article(describe_type(param.type, param.item)),
                                   describe(param, value));
  if (param.type == Type::duration) result += "; write it like \"30s\", \"500ms\" or \"1h30m\"";
  if (param.type == Type::size) result += "; write it like \"512M\", \"10MiB\" or 4096";
  if (param.type == Type::string && value.kind() == Value::Kind::number) result += "; put it in quotes";
  return result;
}

/// Fits one scalar into its type; false: it cannot.
bool convert(const Param &param, Value &value) {
  const Value::Kind kind = value.kind();
  switch (param.type) {
    case Type::string:
    case Type::path:
      // Whole numbers and booleans have one spelling; 1.10 has not.
      if (kind == Value::Kind::integer || kind == Value::Kind::boolean) value = to_json(value);
      return value.is_string() && value.as_string().find('\0') == std::string::npos;
    case Type::integer:
      return kind == Value::Kind::integer;
    case Type::number:
      if (kind == Value::Kind::integer) value = value.as_number();
      return value.kind() == Value::Kind::number && std::isfinite(value.as_number());
    case Type::boolean:
      return kind == Value::Kind::boolean;
    case Type::duration: {
      const auto parsed = value.is_string() ? parse_duration(value.as_string()) : std::nullopt;
      if (parsed) value = *parsed;
      return parsed.has_value();
    }
    case Type::size: {
      const auto parsed = value.is_string() ? parse_size(value.as_string()) : std::nullopt;
      if (parsed) value = *parsed;
      return value.kind() == Value::Kind::integer && value.as_int() >= 0;
    }
    case Type::list:
    case Type::map:
      return false;
  }
  return false;
}

std::string check_range(const Param &param, const Value &value) {
  const bool is_numeric = value.kind() == Value::Kind::integer || value.kind() == Value::Kind::number;
  if (is_numeric) {
    const double number = value.as_number();
    if ((param.minimum && number < static_cast<double>(*param.minimum)) ||
        (param.maximum && number > static_cast<double>(*param.maximum))) {
      return fmt::format("takes {}, not {}", describe_range(param),
                         param.secret ? "the one given" : as_written(param, value));
    }
  }
  const std::string text = to_text(value);
  if (!param.choices.empty() &&
      std::find(param.choices.begin(), param.choices.end(), text) == param.choices.end()) {
    std::string problem = fmt::format("takes {}, not {}", describe_range(param), quoted(param, value));
    const std::string hint = param.secret ? std::string() : did_you_mean(text, param.choices);
    return hint.empty() ? problem : problem + "; " + hint;
  }
  if (param.matcher && !param.matcher->matches_whole(text)) {
    return fmt::format("takes text that matches `{}`, not {}", param.pattern, quoted(param, value));
  }
  if (param.type == Type::path && text.empty()) return "takes a path, not the empty text";
  return {};
}

std::string coerce_items(const Param &param, Value &value) {
  const Param item = item_param(param);
  if (value.kind() == Value::Kind::list) {
    for (std::size_t i = 0; i < value.as_list().size(); ++i) {
      const std::string problem = coerce(item, value.as_list()[i]);
      if (!problem.empty()) return fmt::format("has a wrong item {}: it {}", i + 1, problem);
    }
  } else {
    for (auto &[key, member] : value.as_map()) {
      const std::string problem = coerce(item, member);
      if (!problem.empty()) return fmt::format("has a wrong value of `{}`: it {}", key, problem);
    }
  }
  return {};
}

/// No parameter is a list of lists: a list among the items, as `${vars.more}` may give, stands for its items.
void splice(Value::List &list) {
  if (std::none_of(list.begin(), list.end(), [](const Value &v) { return v.kind() == Value::Kind::list; })) {
    return;
  }
  Value::List flat;
  for (Value &item : list) {
    if (item.kind() != Value::Kind::list) {
      flat.push_back(std::move(item));
    } else {
      std::move(item.as_list().begin(), item.as_list().end(), std::back_inserter(flat));
    }
  }
  list = std::move(flat);
}

/// One text as the scalar it stands for; text that does not fit stays text, for coerce() to refuse.
Value read_scalar(Type type, const std::string &text) {
  const char *end = text.data() + text.size();
  if (type == Type::integer) {
    std::int64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && rest == end) return number;
  }
  if (type == Type::number) {
    double number = 0;
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && rest == end) return number;
  }
  if (type == Type::boolean && (text == "true" || text == "false")) return text == "true";
  return text;
}

/// A whole JSON array or object in one text; null: it is none.
Value read_json(const std::vector<std::string> &texts, char open) {
  const std::size_t start = texts.size() == 1 ? texts.front().find_first_not_of(" \t\n") : std::string::npos;
  if (start == std::string::npos || texts.front()[start] != open) return {};
  try {
    return parse_json(texts.front());
  } catch (const Error &) {
    return {};
  }
}

/// "a=1,b=2": how an item that is a map is written on a command line.
std::string read_pairs(const std::vector<std::string> &texts, Type item, Value::Map &map) {
  for (const std::string &text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) return "takes key=value";
    map.emplace_back(text.substr(0, equals), read_scalar(item, text.substr(equals + 1)));
  }
  return {};
}

std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

std::string_view type_name(Type type) {
  return kTypes[static_cast<std::size_t>(type)].first;
}

std::optional<Type> parse_type(std::string_view name) {
  for (const auto &[known, type] : kTypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

std::string describe_type(Type type, Type item) {
  if (type != Type::list && type != Type::map) return std::string(type_name(type));
  return fmt::format("{} of {}s", type_name(type), type_name(item));
}

std::string with_article(const std::string &noun) {
  return (!noun.empty() && std::string_view("aeiou").find(noun.front()) != std::string_view::npos ? "an "
                                                                                                  : "a ") +
         noun;
}

std::string describe_range(const Param &param) {
  if (!param.choices.empty()) {
    std::string all;
    for (const std::string &choice : param.choices) all += (all.empty() ? "" : ", ") + choice;
    return "one of: " + all;
  }
  if (param.minimum && param.maximum) {
    return as_written(param, *param.minimum) + " to " + as_written(param, *param.maximum);
  }
  if (param.minimum) return as_written(param, *param.minimum) + " or more";
  if (param.maximum) return as_written(param, *param.maximum) + " or less";
  return {};
}

std::string as_written(const Param &param, const Value &value) {
  if (param.type == Type::duration && value.kind() == Value::Kind::integer)
    return format_duration(value.as_int());
  if (param.type == Type::size && value.kind() == Value::Kind::integer) return format_size(value.as_int());
  return to_text(value);
}

Value with_units(Type type, Type item, Value value) {
  if (type == Type::duration && value.kind() == Value::Kind::integer) return format_duration(value.as_int());
  if (type == Type::list && value.kind() == Value::Kind::list) {
    for (Value &each : value.as_list()) each = with_units(item, Type::string, std::move(each));
  } else if (type == Type::map && value.kind() == Value::Kind::map) {
    for (auto &[key, each] : value.as_map()) each = with_units(item, Type::string, std::move(each));
  }
  return value;
}

Param item_param(const Param &param) {
  Param item;
  item.name = param.name;
  item.type = param.item;
  item.secret = param.secret;
  item.minimum = param.minimum;
  item.maximum = param.maximum;
  item.pattern = param.pattern;
  item.matcher = param.matcher;
  item.choices = param.choices;
  return item;
}

std::string coerce(const Param &param, Value &value) {
  const Value::Kind kind = value.kind();
  if (param.type == Type::list) {
    if (kind == Value::Kind::null || (kind == Value::Kind::map && param.item != Type::map)) {
      return wrong_type(param, value);
    }
    if (kind != Value::Kind::list) {
      // The scalar's own message is the better one: nobody thinks of it as an item.
      std::string problem = coerce(item_param(param), value);
      if (!problem.empty()) return problem;
      value = Value::List{std::move(value)};
      return {};
    }
    splice(value.as_list());
    return coerce_items(param, value);
  }
  if (param.type == Type::map)
    return kind == Value::Kind::map ? coerce_items(param, value) : wrong_type(param, value);
  return convert(param, value) ? check_range(param, value) : wrong_type(param, value);
}

std::string coerce_text(const Param &param, const std::vector<std::string> &texts, Value &value) {
  if (param.type == Type::list) {
    value = read_json(texts, '[');
    if (value.is_null()) {
      Value::List list;
      for (const std::string &text : texts) {
        Value item = param.item == Type::map ? read_json({text}, '{') : read_scalar(param.item, text);
        if (item.is_null()) {
          item = Value::Map{};
          const std::string problem = read_pairs(split(text, ','), Type::string, item.as_map());
          if (!problem.empty()) return problem + ",key=value";
        }
        list.push_back(std::move(item));
      }
      value = std::move(list);
    }
  } else if (param.type == Type::map) {
    value = read_json(texts, '{');
    if (value.is_null()) {
      value = Value::Map{};
      const std::string problem = read_pairs(texts, param.item, value.as_map());
      if (!problem.empty()) return problem;
    }
  } else {
    if (texts.empty()) return wrong_type(param, Value());
    value = read_scalar(param.type, texts.back());
  }
  return coerce(param, value);
}

}  // namespace pipes
