#include "core/pipeline/variables.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <map>
#include <set>

namespace pipes {
namespace {

class Variables {
 public:
  Variables(const Pipeline &pipeline, Diagnostics &diagnostics)
      : pipeline_(pipeline), diagnostics_(diagnostics) {
    for (std::size_t i = 0; i < pipeline.variables.size(); ++i) {
      const Param &param = pipeline.variables[i].param;
      index_.emplace(param.name, i);
      names_.push_back(param.name);
      values_.push_back(param.fallback);
    }
  }

  void read_file(const std::string &path) {
    Source source;
    Tree tree;
    try {
      source = Source::read(path);
      tree = read_toml(source);
    } catch (const Error &e) {
      report("var-file", e.message).help =
          "name a TOML file that can be read, with lines such as port = 5001";
      all_are_read_ = false;
      return;
    } catch (Diagnostic &d) {
      diagnostics_.push_back(std::move(d));
      all_are_read_ = false;
      return;
    }
    for (std::size_t i = 0; i < tree.items.size(); ++i) {
      const Tree::Key &key = tree.keys[i];
      const auto found = index_.find(key.name);
      if (found == index_.end()) {
        Diagnostic &d = unknown(key.name);
        d.place = source.place(key.spot);
        d.hide_line = is_secret(key.name);
        continue;
      }
      Value value = to_value(tree.items[i]);
      const std::string problem = coerce(pipeline_.variables[found->second].param, value);
      if (Diagnostic *d =
              take(found->second, std::move(value), fmt::format("variable `{}`", key.name), problem))
        d->place = source.place(tree.items[i].spot);
    }
  }

  void read_environment() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const std::string &name = pipeline_.variables[i].env;
      const char *text = name.empty() ? nullptr : std::getenv(name.c_str());
      if (text == nullptr || *text == '\0') continue;
      take_text(i, {text}, fmt::format("variable `{}`, from ${},", names_[i], name));
    }
  }

  void set(const std::vector<std::pair<std::string, std::string>> &given) {
    std::map<std::size_t, std::vector<std::string>> texts;
    for (const auto &[name, text] : given) {
      const auto found = index_.find(name);
      if (found == index_.end()) {
        unknown(name);
      } else {
        texts[found->second].push_back(text);
      }
    }
    for (const auto &[i, list] : texts) take_text(i, list, fmt::format("--set {}", names_[i]));
  }

  std::vector<std::optional<Value>> all(bool must_be_set) {
    for (std::size_t i = 0; must_be_set && all_are_read_ && i < values_.size(); ++i) {
      const Variable &variable = pipeline_.variables[i];
      // A value that is wrong has been reported as that.
      if (values_[i] || !variable.param.required || failed_.contains(i)) continue;
      Diagnostic d = diagnose(pipeline_.source, variable.spot, "missing-variable",
                              fmt::format("variable `{}` has no value", names_[i]));
      d.label = variable.param.help;
      d.help = fmt::format(
          "give it with --set {}=…{}", names_[i],
          variable.env.empty() ? "" : fmt::format(" or the environment variable {}", variable.env));
      diagnostics_.push_back(std::move(d));
    }
    return std::move(values_);
  }

 private:
  Diagnostic &report(std::string id, std::string message) {
    Diagnostic &d = diagnostics_.emplace_back();
    d.id = std::move(id);
    d.message = std::move(message);
    return d;
  }

  bool is_secret(const std::string &name) const {
    for (const SecretDeclaration &secret : pipeline_.secrets) {
      if (secret.name == name) return true;
    }
    return false;
  }

  Diagnostic &unknown(const std::string &name) {
    Diagnostic &d = report("unknown-variable", fmt::format("the pipeline has no variable `{}`", name));
    if (is_secret(name)) {
      d.help = fmt::format("`{}` is a secret: it is read from where [secrets.{}] says, never from arguments",
                           name, name);
      return d;
    }
    std::string all;
    for (const std::string &known : names_) all += (all.empty() ? "" : ", ") + known;
    d.notes.push_back(all.empty() ? "it has no variables" : "variables are: " + all);
    d.help = did_you_mean(name, names_);
    return d;
  }

  void take_text(std::size_t i, const std::vector<std::string> &texts, const std::string &what) {
    Value value;
    const std::string problem = coerce_text(pipeline_.variables[i].param, texts, value);
    take(i, std::move(value), what, problem);
  }

  /// Sets a variable unless there is a problem, which is reported; `what` is what it is with.
  Diagnostic *take(std::size_t i, Value value, const std::string &what, const std::string &problem) {
    if (!problem.empty()) {
      failed_.insert(i);
      return &report("wrong-value", fmt::format("{} {}", what, problem));
    }
    const Param &param = pipeline_.variables[i].param;
    values_[i] = with_units(param.type, param.item, std::move(value));
    return nullptr;
  }

  const Pipeline &pipeline_;
  Diagnostics &diagnostics_;
  std::map<std::string, std::size_t> index_;
  std::set<std::size_t> failed_;  // reported already
  bool all_are_read_ = true;      // otherwise nobody knows which are missing
  std::vector<std::string> names_;
  std::vector<std::optional<Value>> values_;
};

}  // namespace

std::vector<std::optional<Value>> resolve_variables(
    const Pipeline &pipeline, const std::vector<std::pair<std::string, std::string>> &set,
    const std::vector<std::string> &files, bool must_be_set, Diagnostics &diagnostics) {
  Variables variables(pipeline, diagnostics);
  for (const std::string &file : files) variables.read_file(file);
  variables.read_environment();
  variables.set(set);
  return variables.all(must_be_set);
}

}  // namespace pipes
