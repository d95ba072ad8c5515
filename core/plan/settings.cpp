#include "core/plan/settings.hpp"

#include "core/plan/plan_impl.hpp"

#include <algorithm>
#include <string_view>

namespace pipes {
std::string shell_word(const std::string &word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += R"('\'')";
    } else {
      out.push_back(c);
    }
  }
  return out + "'";
}

Value::Map settings_of(const Plan::Impl &impl) {
  Value::Map settings;
  for (std::size_t i = 0; i < impl.variables.size(); ++i) {
    const Param &param = impl.pipeline.variables[i].param;
    const std::optional<Value> &value = impl.variables[i];
    if (value && value != param.fallback) settings.emplace_back(param.name, *value);
  }
  return settings;
}

Value::Map settings_of(const Plan &plan) {
  return settings_of(*plan.impl);
}

std::string as_given(const Value &value) {
  // Lists and maps in JSON, which nothing in them can break.
  const bool whole = value.kind() == Value::Kind::list || value.kind() == Value::Kind::map;
  return whole ? to_json(value) : to_text(value);
}

std::string down_command(const std::string &file, const Value::Map &settings) {
  std::string command = "pipe down " + shell_word(file);
  for (const auto &[name, value] : settings) command += " --set " + shell_word(name + "=" + as_given(value));
  return command;
}

}  // namespace pipes
