#include "core/pipeline/pipeline.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <unordered_map>

namespace pipes {
namespace {

constexpr std::int64_t kSchema = 1;

bool is_name(std::string_view text) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !text.empty() && text.front() != '-' && !(text.front() >= '0' && text.front() <= '9') &&
         std::all_of(text.begin(), text.end(), is_part);
}

std::string joined(const std::vector<std::string> &words) {
  std::string result;
  for (const std::string &word : words) result += (result.empty() ? "" : ", ") + word;
  return result;
}

Param make_param(std::string name, Type type, std::optional<std::int64_t> minimum = std::nullopt) {
  Param param;
  param.name = std::move(name);
  param.type = type;
  param.minimum = minimum;
  return param;
}

/// "list<string>" and such; the shorter names that people expect are taken too.
bool read_type(const std::string &text, Param &param) {
  std::string name = text, item;
  const std::size_t open = text.find('<');
  if (open != std::string::npos && text.ends_with('>')) {
    name = text.substr(0, open);
    item = text.substr(open + 1, text.size() - open - 2);
  }
  const auto known = [](const std::string &word) {
    return parse_type(word == "int"     ? "integer"
                      : word == "bool"  ? "boolean"
                      : word == "float" ? "number"
                                        : word);
  };
  const std::optional<Type> type = known(name);
  const std::optional<Type> item_type = item.empty() ? Type::string : known(item);
  if (!type || !item_type || *item_type == Type::list || *item_type == Type::map) return false;
  if (!item.empty() && *type != Type::list && *type != Type::map) return false;
  param.type = *type;
  param.item = *item_type;
  return true;
}

Type type_of(const Value &value) {
  switch (value.kind()) {
    case Value::Kind::boolean:
      return Type::boolean;
    case Value::Kind::integer:
      return Type::integer;
    case Value::Kind::number:
      return Type::number;
    case Value::Kind::list:
      return Type::list;
    case Value::Kind::map:
      return Type::map;
    case Value::Kind::null:
    case Value::Kind::string:
      break;
  }
  return Type::string;
}

/// A variable without `type` has that of its default.
void infer_type(const Value &value, Param &param) {
  param.type = type_of(value);
  if (param.type == Type::list && !value.as_list().empty()) param.item = type_of(value.as_list().front());
  if (param.type == Type::map && !value.as_map().empty()) param.item = type_of(value.as_map().front().second);
}

class Reader {
 public:
  Reader(const Source &source, Diagnostics &diagnostics) : source_(source), diagnostics_(diagnostics) {
    pipeline_.outputs.kind = Tree::Kind::map;
  }

  Pipeline read() {
    pipeline_.name = std::filesystem::path(source_.path()).stem().string();
    Tree document;
    try {
      document = read_toml(source_);
    } catch (Diagnostic &d) {
      diagnostics_.push_back(std::move(d));
      return std::move(pipeline_);
    }
    check_keys(document, "the file", kRootKeys);
    check_schema(document);
    header(document);
    variables(document);
    secrets(document);
    pools(document);
    steps(document, "step", false);
    steps(document, "finally", true);
    check_ids();
    outputs(document);
    return std::move(pipeline_);
  }

 private:
  const std::vector<std::string> kRootKeys{"schema", "pipeline", "vars",    "secrets",
                                           "pools",  "step",     "finally", "outputs"};
  const std::vector<std::string> kPipelineKeys{"name", "description"};
  const std::vector<std::string> kVariableKeys{"type",    "default", "description", "env",
                                               "pattern", "min",     "max",         "choices"};
  const std::vector<std::string> kSecretKeys{"from", "optional", "description"};
  const std::vector<std::string> kSourceKeys{"env", "file", "command"};
  const std::vector<std::string> kStepKeys{"id",    "uses",    "needs", "if",       "for_each",
                                           "retry", "timeout", "pool",  "rollback", "with"};
  const std::vector<std::string> kRetryKeys{"attempts", "delay", "max_delay", "factor", "jitter"};
  const Param kTimeout = make_param("timeout", Type::duration, 1);
  const Param kAttempts = make_param("attempts", Type::integer, 1);
  const Param kDelay = make_param("delay", Type::duration, 0);
  const Param kMaxDelay = make_param("max_delay", Type::duration, 0);
  const Param kFactor = make_param("factor", Type::number, 1);
  const Param kJitter = make_param("jitter", Type::boolean);
  const Param kRollback = make_param("rollback", Type::boolean);
  const Param kPool = make_param("pool", Type::integer, 1);

  Diagnostic &report(const Spot &spot, std::string id, std::string message) {
    diagnostics_.push_back(diagnose(source_, spot, std::move(id), std::move(message)));
    return diagnostics_.back();
  }

  void check_keys(const Tree &map, std::string_view where, const std::vector<std::string> &allowed,
                  bool may_hold_secret = false) {
    for (const Tree::Key &key : map.keys) {
      if (std::find(allowed.begin(), allowed.end(), key.name) != allowed.end()) continue;
      Diagnostic &d = report(key.spot, "unknown-key", fmt::format("{} has no key `{}`", where, key.name));
      d.label = "not known here";
      d.notes.push_back("keys are: " + joined(allowed));
      d.help = did_you_mean(key.name, allowed);
      d.hide_line = may_hold_secret;
      if (d.help.empty() && &allowed == &kStepKeys) {
        d.help = fmt::format("what the plugin takes stands under `with`: with.{} = …", key.name);
      }
    }
  }

  /// A member that must be a table, or nullptr.
  Tree *table(Tree &map, std::string_view key, std::string_view written) {
    Tree *found = member(map, key);
    if (found == nullptr || found->kind == Tree::Kind::map) return found;
    report(found->spot, "wrong-type",
           fmt::format("`{}` is a table, not {}", key, with_article(std::string(found->kind_name()))))
        .help = fmt::format("write {}", written);
    return nullptr;
  }

  static Tree *member(Tree &map, std::string_view key) { return const_cast<Tree *>(map.find(key)); }

  /// A fixed text, or empty.
  std::string text(const Tree &map, std::string_view key) {
    const Tree *found = map.find(key);
    if (found == nullptr) return {};
    if (!found->is_string()) {
      report(found->spot, "wrong-type",
             fmt::format("`{}` takes a string, not {}", key, with_article(std::string(found->kind_name()))));
      return {};
    }
    if (has_template(found->scalar.as_string())) {
      report(found->spot, "no-template", fmt::format("`{}` is fixed: ${{…}} cannot stand here", key));
      return {};
    }
    return found->scalar.as_string();
  }

  std::vector<std::string> texts(const Tree &list, std::string_view key) {
    std::vector<std::string> result;
    if (list.is_string()) return {list.scalar.as_string()};
    const auto is_text = [](const Tree &item) { return item.is_string(); };
    if (list.kind != Tree::Kind::list || !std::all_of(list.items.begin(), list.items.end(), is_text)) {
      report(list.spot, "wrong-type", fmt::format("`{}` takes a list of strings", key));
      return result;
    }
    for (const Tree &item : list.items) result.push_back(item.scalar.as_string());
    return result;
  }

  /// A member that `param` describes; nullopt: absent or wrong.
  std::optional<Value> field(const Tree &map, const Param &param) {
    const Tree *found = map.find(param.name);
    if (found == nullptr) return std::nullopt;
    Value value = to_value(*found);
    const std::string problem = coerce(param, value);
    if (problem.empty()) return value;
    report(found->spot, "wrong-value", fmt::format("`{}` {}", param.name, problem));
    return std::nullopt;
  }

  bool check_name(const Spot &spot, std::string_view what, const std::string &name) {
    if (is_name(name)) return true;
    report(spot, "bad-name", fmt::format("`{}` is no name for a {}", name, what)).help =
        "names are letters, digits, `-` and `_`, and begin with a letter or `_`";
    return false;
  }

  void check_schema(const Tree &document) {
    const Tree *schema = document.find("schema");
    if (schema == nullptr) {
      report({1, 1, 1, 1}, "schema", "the file does not say which format it has").help =
          "begin it with `schema = 1`";
      return;
    }
    if (schema->scalar == Value(kSchema)) return;
    report(schema->spot, "schema", "this pipe reads files of `schema = 1`").help =
        "update pipe, or write the file in that format";
  }

  void header(Tree &document) {
    Tree *header = table(document, "pipeline", "[pipeline]");
    if (header == nullptr) return;
    check_keys(*header, "[pipeline]", kPipelineKeys);
    if (header->find("name") != nullptr) {
      const std::string name = text(*header, "name");
      if (!name.empty() && check_name(header->find("name")->spot, "pipeline", name)) pipeline_.name = name;
    }
    pipeline_.description = text(*header, "description");
  }

  void variables(Tree &document) {
    Tree *vars = table(document, "vars", "[vars.name]");
    if (vars == nullptr) return;
    for (std::size_t i = 0; i < vars->items.size(); ++i) {
      const Tree::Key &key = vars->keys[i];
      const Tree &body = vars->items[i];
      if (body.kind != Tree::Kind::map) {
        report(key.spot, "wrong-type", fmt::format("variable `{}` is declared by a table", key.name)).help =
            fmt::format("write [vars.{}] and below it default = …", key.name);
        continue;
      }
      if (check_name(key.spot, "variable", key.name)) variable(key, body);
    }
  }

  void variable(const Tree::Key &key, const Tree &body) {
    check_keys(body, fmt::format("[vars.{}]", key.name), kVariableKeys);
    Variable variable;
    variable.spot = key.spot;
    variable.env = text(body, "env");
    Param &param = variable.param;
    param.name = key.name;
    param.help = text(body, "description");
    const Tree *fallback = body.find("default");
    const Value written = fallback == nullptr ? Value() : to_value(*fallback);
    infer_type(written, param);
    if (const std::string type = text(body, "type"); !type.empty() && !read_type(type, param)) {
      Diagnostic &d =
          report(body.find("type")->spot, "wrong-value", fmt::format("there is no type `{}`", type));
      const std::vector<std::string> types{"string", "integer", "number",       "boolean",    "duration",
                                           "size",   "path",    "list<string>", "map<string>"};
      d.notes.push_back("types are: " + joined(types));
      d.help = did_you_mean(type, types);
    }
    constraints(body, param);
    if (fallback != nullptr) set_default(*fallback, written, param);
    param.required = fallback == nullptr;
    pipeline_.variables.push_back(std::move(variable));
  }

  void constraints(const Tree &body, Param &param) {
    for (const auto &[key, bound] : {std::pair("min", &param.minimum), std::pair("max", &param.maximum)}) {
      // A bound is written as the variable's values are: "1m" for a duration.
      Param as_written =
          make_param(key, param.type == Type::list || param.type == Type::map ? param.item : param.type);
      const auto value = field(body, as_written);
      if (value && value->kind() == Value::Kind::integer) {
        *bound = value->as_int();
      } else if (value && value->kind() == Value::Kind::number &&
                 value->as_number() == static_cast<double>(static_cast<std::int64_t>(value->as_number()))) {
        *bound = static_cast<std::int64_t>(value->as_number());
      } else if (value) {
        report(body.find(key)->spot, "wrong-value", fmt::format("`{}` is a whole number", key));
      }
    }
    if (const Tree *choices = body.find("choices")) param.choices = texts(*choices, "choices");
    param.pattern = text(body, "pattern");
    if (param.pattern.empty()) return;
    try {
      param.matcher = std::make_shared<const Pattern>(param.pattern);
    } catch (const Error &e) {
      report(body.find("pattern")->spot, "wrong-value", e.message);
    }
  }

  void set_default(const Tree &tree, const Value &written, Param &param) {
    if (tree.is_string() && has_template(tree.scalar.as_string())) {
      report(tree.spot, "no-template", "a default is fixed: ${…} cannot stand here");
      return;
    }
    Value value = written;
    const std::string problem = coerce(param, value);
    if (problem.empty()) {
      param.fallback = std::move(value);
    } else {
      report(tree.spot, "wrong-value", fmt::format("the default of variable `{}` {}", param.name, problem));
    }
  }

  void secrets(Tree &document) {
    Tree *secrets = table(document, "secrets", "[secrets.name]");
    if (secrets == nullptr) return;
    for (std::size_t i = 0; i < secrets->items.size(); ++i) {
      const Tree::Key &key = secrets->keys[i];
      const Tree &body = secrets->items[i];
      if (body.kind != Tree::Kind::map) {
        Diagnostic &d =
            report(key.spot, "wrong-type", fmt::format("secret `{}` is declared by a table", key.name));
        d.help = fmt::format("write [secrets.{}] and below it from = [{{ env = \"NAME\" }}]", key.name);
        d.hide_line = true;
        continue;
      }
      if (check_name(key.spot, "secret", key.name)) secret(key, body);
    }
  }

  void secret(const Tree::Key &key, const Tree &body) {
    check_keys(body, fmt::format("[secrets.{}]", key.name), kSecretKeys, true);
    SecretDeclaration secret;
    secret.name = key.name;
    secret.spot = key.spot;
    secret.description = text(body, "description");
    if (const auto optional = field(body, make_param("optional", Type::boolean)))
      secret.optional = optional->as_bool();
    const Tree *from = body.find("from");
    if (from == nullptr) {
      report(key.spot, "missing-key", fmt::format("secret `{}` does not say where it comes from", key.name))
          .help = "add from = [{ env = \"NAME\" }, { file = \"/run/secrets/name\" }]";
    } else if (from->kind == Tree::Kind::list) {
      for (const Tree &item : from->items) secret_source(item, secret);
    } else {
      secret_source(*from, secret);
    }
    pipeline_.secrets.push_back(std::move(secret));
  }

  void secret_source(const Tree &tree, SecretDeclaration &secret) {
    if (tree.kind != Tree::Kind::map || tree.keys.size() != 1) {
      Diagnostic &d = report(tree.spot, "wrong-value", "a source of a secret is a table with one key");
      d.help = "write { env = \"NAME\" }, { file = \"/path\" } or { command = [\"program\", \"argument\"] }";
      d.hide_line = true;
      return;
    }
    check_keys(tree, "a source of a secret", kSourceKeys, true);
    SecretSource source;
    if (const Tree *command = tree.find("command")) {
      source.kind = SecretSource::Kind::command;
      source.command = texts(*command, "command");
      if (!source.command.empty()) secret.from.push_back(std::move(source));
      return;
    }
    source.kind = tree.find("env") != nullptr ? SecretSource::Kind::env : SecretSource::Kind::file;
    source.name = text(tree, source.kind == SecretSource::Kind::env ? "env" : "file");
    if (!source.name.empty()) secret.from.push_back(std::move(source));
  }

  void pools(Tree &document) {
    Tree *pools = table(document, "pools", "[pools]");
    if (pools == nullptr) return;
    for (const Tree::Key &key : pools->keys) {
      Param param = kPool;
      param.name = key.name;
      if (const auto size = field(*pools, param)) {
        pipeline_.pools[key.name] = static_cast<int>(std::min<std::int64_t>(size->as_int(), INT32_MAX));
      }
    }
  }

  void steps(Tree &document, const std::string &kind, bool finally) {
    Tree *list = member(document, kind);
    if (list == nullptr) {
      if (!finally) {
        report({1, 1, 1, 1}, "no-step", "the pipeline has no step").help = "add a [[step]] with uses = \"…\"";
      }
      return;
    }
    const auto is_table = [](const Tree &item) { return item.kind == Tree::Kind::map; };
    if (list->kind != Tree::Kind::list || !std::all_of(list->items.begin(), list->items.end(), is_table)) {
      report(list->spot, "wrong-type", fmt::format("`{}` is a list of tables", kind)).help =
          fmt::format("write [[{}]] with two brackets on each side", kind);
      return;
    }
    pipeline_.steps.reserve(pipeline_.steps.size() + list->items.size());
    for (Tree &body : list->items) step(body, kind, finally);
  }

  void step(Tree &body, const std::string &kind, bool finally) {
    check_keys(body, fmt::format("[[{}]]", kind), kStepKeys);
    Step step;
    step.spot = body.spot;
    step.finally = finally;
    step.uses = text(body, "uses");
    const Tree *uses = body.find("uses");
    step.uses_spot = uses == nullptr ? body.spot : uses->spot;
    if (uses == nullptr) {
      report(body.spot, "missing-key", fmt::format("this [[{}]] does not say which plugin it uses", kind))
          .help = "add uses = \"…\"; `pipe plugins` lists them";
    }
    const Tree *id = body.find("id");
    step.id = id == nullptr ? step.uses : text(body, "id");
    step.id_spot = id == nullptr ? step.uses_spot : id->spot;
    if (id != nullptr && !step.id.empty()) check_name(id->spot, "step", step.id);
    needs(body, step);
    condition(body, step);
    if (Tree *for_each = member(body, "for_each")) {
      read_templates(*for_each, source_, diagnostics_);
      step.for_each = std::move(*for_each);
    }
    retry(body, step.retry);
    if (const auto timeout = field(body, kTimeout))
      step.timeout = std::chrono::milliseconds(timeout->as_int());
    if (const auto rollback = field(body, kRollback)) step.rollback = rollback->as_bool();
    pool(body, step);
    step.with.kind = Tree::Kind::map;
    step.with.spot = body.spot;
    if (Tree *with = table(body, "with", "with.image = … or [step.with]")) {
      read_templates(*with, source_, diagnostics_);
      step.with = std::move(*with);
    }
    pipeline_.steps.push_back(std::move(step));
  }

  void needs(const Tree &body, Step &step) {
    const Tree *needs = body.find("needs");
    if (needs == nullptr) return;
    step.needs.emplace();
    const auto ids = texts(*needs, "needs");
    for (std::size_t i = 0; i < ids.size(); ++i) {
      step.needs->push_back({ids[i], needs->kind == Tree::Kind::list ? needs->items[i].spot : needs->spot});
    }
  }

  void condition(const Tree &body, Step &step) {
    const Tree *condition = body.find("if");
    if (condition == nullptr) return;
    step.condition_spot = condition->spot;
    if (condition->scalar.kind() == Value::Kind::boolean) {
      step.condition.emplace().literal = condition->scalar;
    } else if (!condition->is_string()) {
      report(condition->spot, "wrong-type", "`if` takes an expression in quotes");
    } else if (has_template(condition->scalar.as_string())) {
      report(condition->spot, "expression", "`if` is an expression already").help =
          "write it without ${ and }";
    } else {
      try {
        step.condition = parse_expression(condition->scalar.as_string());
      } catch (const SyntaxError &error) {
        diagnostics_.push_back(diagnose(source_, condition->spot, error));
      }
    }
  }

  void retry(const Tree &body, Retry &retry) {
    const Tree *tree = body.find("retry");
    if (tree == nullptr) return;
    if (tree->kind != Tree::Kind::map) {
      report(tree->spot, "wrong-type",
             fmt::format("`retry` is a table, not {}", with_article(std::string(tree->kind_name()))))
          .help = "write retry = { attempts = 3, delay = \"2s\" }";
      return;
    }
    check_keys(*tree, "`retry`", kRetryKeys);
    if (const auto v = field(*tree, kAttempts))
      retry.attempts = static_cast<int>(std::min<std::int64_t>(v->as_int(), INT32_MAX));
    if (const auto v = field(*tree, kDelay)) retry.delay = std::chrono::milliseconds(v->as_int());
    if (const auto v = field(*tree, kMaxDelay)) retry.max_delay = std::chrono::milliseconds(v->as_int());
    if (const auto v = field(*tree, kFactor)) retry.factor = v->as_number();
    if (const auto v = field(*tree, kJitter)) retry.jitter = v->as_bool();
    if (tree->find("max_delay") == nullptr) retry.max_delay = std::max(retry.max_delay, retry.delay);
  }

  void pool(const Tree &body, Step &step) {
    step.pool = text(body, "pool");
    if (step.pool.empty()) return;
    step.pool_spot = body.find("pool")->spot;
    if (pipeline_.pools.contains(step.pool)) return;
    std::vector<std::string> names;
    for (const auto &[name, size] : pipeline_.pools) names.push_back(name);
    Diagnostic &d = report(step.pool_spot, "unknown-pool", fmt::format("there is no pool `{}`", step.pool));
    d.help = did_you_mean(step.pool, names);
    if (d.help.empty()) d.help = fmt::format("add it: [pools] and below it {} = 2", step.pool);
  }

  void check_ids() {
    std::unordered_map<std::string_view, const Step *> seen;
    seen.reserve(pipeline_.steps.size());
    for (const Step &step : pipeline_.steps) {
      if (step.id.empty()) continue;
      const auto [first, is_new] = seen.emplace(step.id, &step);
      if (is_new) continue;
      Diagnostic &d =
          report(step.id_spot, "duplicate-id", fmt::format("two steps have the id `{}`", step.id));
      d.notes.push_back(fmt::format("the first is in line {}", first->second->id_spot.line));
      d.help = "give one of them an `id` of its own";
    }
  }

  void outputs(Tree &document) {
    Tree *outputs = table(document, "outputs", "[outputs]");
    if (outputs == nullptr) return;
    read_templates(*outputs, source_, diagnostics_);
    pipeline_.outputs = std::move(*outputs);
  }

  const Source &source_;
  Diagnostics &diagnostics_;
  Pipeline pipeline_;
};

}  // namespace

Pipeline read_pipeline(Source source, Diagnostics &diagnostics) {
  Pipeline pipeline = Reader(source, diagnostics).read();
  pipeline.source = std::move(source);
  return pipeline;
}

PipelineFacts describe_pipeline(const std::string &file) {
  Diagnostics diagnostics;
  Pipeline pipeline = read_pipeline(Source::read(file), diagnostics);
  for (const Diagnostic &d : diagnostics) {
    if (d.id == "toml") {
      throw Error(Exit::invalid, fmt::format("{}:{}: {}", file, d.place.line, d.message),
                  "pipe check " + file);
    }
  }
  return {pipeline.name, pipeline.description, std::move(pipeline.variables), std::move(pipeline.secrets)};
}

}  // namespace pipes
