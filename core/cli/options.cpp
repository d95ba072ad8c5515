#include "core/cli/options.hpp"

#include "core/base/columns.hpp"
#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"

#include <fmt/core.h>
#include <boost/program_options.hpp>

#include <algorithm>

namespace pipes::cli {
namespace {

namespace po = boost::program_options;

po::options_description described(const std::vector<Option> &options) {
  po::options_description description;
  for (const Option &option : options) {
    if (option.argument.empty()) {
      description.add_options()(option.name.c_str(), po::value<std::vector<std::string>>()->zero_tokens(),
                                "");
    } else {
      auto *value = po::value<std::vector<std::string>>();
      if (option.optional_argument) value->implicit_value({"true"}, "true");
      description.add_options()(option.name.c_str(), value, "");
    }
  }
  return description;
}

std::string label(const Option &option) {
  if (option.argument.empty()) return "--" + option.name;
  return option.optional_argument ? fmt::format("--{}[={}]", option.name, option.argument)
                                  : fmt::format("--{} {}", option.name, option.argument);
}

[[noreturn]] void reject(const std::string &given, const std::vector<Option> &options) {
  const std::string name = given.substr(std::min(given.find_first_not_of('-'), given.size()));
  std::vector<std::string> names;
  for (const Option &option : options) names.push_back(option.name);
  const std::string close = closest(name, names);
  throw Error(Exit::usage, fmt::format("there is no option `{}`", given.substr(0, given.find('='))),
              close.empty() ? "`--help` lists the options" : fmt::format("did you mean `--{}`?", close));
}

void check_choice(const Option &option, const std::vector<std::string> &values) {
  if (option.choices.empty()) return;
  for (const std::string &value : values) {
    if (std::ranges::find(option.choices, value) != option.choices.end()) continue;
    std::string all;
    for (std::size_t i = 0; i < option.choices.size(); ++i)
      all += (i == 0 ? "" : i + 1 < option.choices.size() ? ", " : " or ") + option.choices[i];
    throw Error(Exit::usage, fmt::format("`--{} {}`: expected {}", option.name, value, all),
                did_you_mean(value, option.choices));
  }
}

}  // namespace

std::optional<std::string> Arguments::value(const std::string &name) const {
  const auto at = values_.find(name);
  if (at == values_.end() || at->second.empty()) return std::nullopt;
  return at->second.back();
}

std::vector<std::string> Arguments::values(const std::string &name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? std::vector<std::string>() : at->second;
}

Arguments parse(const std::vector<Option> &options, const std::vector<std::string> &args) {
  using Style = po::command_line_style::style_t;
  constexpr int kStyle = Style::allow_long | Style::long_allow_adjacent | Style::long_allow_next;
  const po::options_description description = described(options);
  try {
    const po::parsed_options parsed = po::command_line_parser(args).options(description).style(kStyle).run();
    Arguments result;
    for (const po::option &option : parsed.options) {
      if (option.position_key >= 0) {
        // Without short options, a word such as `-x` is taken for a positional one.
        for (const std::string &word : option.value) {
          if (word.size() > 1 && word.starts_with('-')) reject(word, options);
          result.words_.push_back(word);
        }
      } else {
        std::vector<std::string> &values = result.values_[option.string_key];
        values.insert(values.end(), option.value.begin(), option.value.end());
        const auto declared = std::ranges::find(options, option.string_key, &Option::name);
        check_choice(*declared, option.value);
        if (option.value.empty() && declared->optional_argument) values.emplace_back("true");
      }
    }
    return result;
  } catch (const po::unknown_option &e) {
    reject(e.get_option_name(), options);
  } catch (const po::invalid_command_line_syntax &e) {
    const bool extra = e.kind() == po::invalid_syntax::extra_parameter;
    const std::string given = e.tokens();  // with its dashes or without them, as Boost has it
    const std::string name = given.substr(std::min(given.find_first_not_of('-'), given.size()));
    throw Error(Exit::usage,
                fmt::format("option `--{}` {}", name, extra ? "takes no value" : "needs a value"),
                "`--help` lists the options");
  } catch (const po::error &e) {
    throw Error(Exit::usage, e.what(), "`--help` lists the options");
  }
}

std::string explained(const std::vector<std::pair<std::string, std::string>> &entries) {
  constexpr std::size_t kWidest = 26;  // a longer one has a line of its own
  std::size_t widest = 0;
  for (const auto &[name, meaning] : entries) {
    if (width(name) <= kWidest) widest = std::max(widest, width(name));
  }
  const std::size_t column = 2 + widest + 2;
  std::string out;
  for (const auto &[name, meaning] : entries) {
    const bool is_long = width(name) > widest;
    out += "  " + padded(name, widest) + (is_long ? "\n" + std::string(column, ' ') : "  ");
    out += wrapped(meaning, kHelpColumns, column) + "\n";
  }
  return out;
}

std::string describe(const std::vector<Option> &options) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const Option &option : options) entries.emplace_back(label(option), option.help);
  return explained(entries);
}

}  // namespace pipes::cli
