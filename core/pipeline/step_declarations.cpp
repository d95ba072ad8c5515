#include "core/pipeline/declarations.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace pipes {
namespace {

class StepReader {
 public:
  StepReader(const std::map<std::string, int> &pools, TableReader &read) : pools_(pools), read_(read) {}

  std::vector<Step> read(Tree &document) {
    steps(document, "step", false);
    steps(document, "finally", true);
    check_ids();
    return std::move(steps_);
  }

 private:
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

  void steps(Tree &document, const std::string &kind, bool finally) {
    Tree *list = member(document, kind);
    if (list == nullptr) {
      if (!finally) {
        read_.report({1, 1, 1, 1}, "no-step", "the pipeline has no step").help =
            "add a [[step]] with uses = \"…\"";
      }
      return;
    }
    const auto is_table = [](const Tree &item) { return item.kind == Tree::Kind::map; };
    if (list->kind != Tree::Kind::list || !std::all_of(list->items.begin(), list->items.end(), is_table)) {
      read_.report(list->spot, "wrong-type", fmt::format("`{}` is a list of tables", kind)).help =
          fmt::format("write [[{}]] with two brackets on each side", kind);
      return;
    }
    steps_.reserve(steps_.size() + list->items.size());
    for (Tree &body : list->items) step(body, kind, finally);
  }

  void step(Tree &body, const std::string &kind, bool finally) {
    read_.check_keys(body, fmt::format("[[{}]]", kind), kStepKeys,
                     {.help = "what the plugin takes stands under `with`: with.{} = …"});
    Step step;
    step.spot = body.spot;
    step.finally = finally;
    step.uses = read_.text(body, "uses");
    const Tree *uses = body.find("uses");
    step.uses_spot = uses == nullptr ? body.spot : uses->spot;
    if (uses == nullptr) {
      read_
          .report(body.spot, "missing-key",
                  fmt::format("this [[{}]] does not say which plugin it uses", kind))
          .help = "add uses = \"…\"; `pipe plugins` lists them";
    }
    const Tree *id = body.find("id");
    step.id = id == nullptr ? step.uses : read_.text(body, "id");
    step.id_spot = id == nullptr ? step.uses_spot : id->spot;
    if (id != nullptr && !step.id.empty()) read_.check_name(id->spot, "step", step.id);
    needs(body, step);
    condition(body, step);
    if (Tree *for_each = member(body, "for_each")) {
      read_templates(*for_each, read_.source, read_.diagnostics);
      step.for_each = std::move(*for_each);
    }
    retry(body, step.retry);
    if (const auto timeout = read_.field(body, kTimeout))
      step.timeout = std::chrono::milliseconds(timeout->as_int());
    if (const auto rollback = read_.field(body, kRollback)) step.rollback = rollback->as_bool();
    pool(body, step);
    step.with.kind = Tree::Kind::map;
    step.with.spot = body.spot;
    if (Tree *with = read_.table(body, "with", "with.image = … or [step.with]")) {
      read_templates(*with, read_.source, read_.diagnostics);
      step.with = std::move(*with);
    } else if (body.find("with") != nullptr) {
      step.with.kind = Tree::Kind::scalar;  // reported; what it lacks is nobody's concern
    }
    steps_.push_back(std::move(step));
  }

  void needs(const Tree &body, Step &step) {
    const Tree *needs = body.find("needs");
    if (needs == nullptr) return;
    step.needs.emplace();
    const auto ids = read_.texts(*needs, "needs");
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
      read_.report(condition->spot, "wrong-type", "`if` takes an expression in quotes");
    } else if (has_template(condition->scalar.as_string())) {
      read_.report(condition->spot, "expression", "`if` is an expression already").help =
          "write it without ${ and }";
    } else {
      try {
        step.condition = parse_expression(condition->scalar.as_string());
      } catch (const SyntaxError &error) {
        read_.diagnostics.push_back(diagnose(read_.source, condition->spot, error));
      }
    }
  }

  void retry(const Tree &body, Retry &retry) {
    const Tree *tree = body.find("retry");
    if (tree == nullptr) return;
    if (tree->kind != Tree::Kind::map) {
      read_
          .report(tree->spot, "wrong-type",
                  fmt::format("`retry` is a table, not {}", with_article(std::string(tree->kind_name()))))
          .help = "write retry = { attempts = 3, delay = \"2s\" }";
      return;
    }
    read_.check_keys(*tree, "`retry`", kRetryKeys);
    if (const auto v = read_.field(*tree, kAttempts))
      retry.attempts = static_cast<int>(std::min<std::int64_t>(v->as_int(), INT32_MAX));
    if (const auto v = read_.field(*tree, kDelay)) retry.delay = std::chrono::milliseconds(v->as_int());
    if (const auto v = read_.field(*tree, kMaxDelay))
      retry.max_delay = std::chrono::milliseconds(v->as_int());
    if (const auto v = read_.field(*tree, kFactor)) retry.factor = v->as_number();
    if (const auto v = read_.field(*tree, kJitter)) retry.jitter = v->as_bool();
    if (tree->find("max_delay") == nullptr) retry.max_delay = std::max(retry.max_delay, retry.delay);
  }

  void pool(const Tree &body, Step &step) {
    step.pool = read_.text(body, "pool");
    if (step.pool.empty()) return;
    step.pool_spot = body.find("pool")->spot;
    if (pools_.contains(step.pool)) return;
    std::vector<std::string> names;
    for (const auto &[name, size] : pools_) names.push_back(name);
    Diagnostic &d =
        read_.report(step.pool_spot, "unknown-pool", fmt::format("there is no pool `{}`", step.pool));
    d.help = did_you_mean(step.pool, names);
    if (d.help.empty()) d.help = fmt::format("add it: [pools] and below it {} = 2", step.pool);
  }

  void check_ids() {
    std::unordered_map<std::string_view, const Step *> seen;
    seen.reserve(steps_.size());
    for (const Step &step : steps_) {
      if (step.id.empty()) continue;
      const auto [first, is_new] = seen.emplace(step.id, &step);
      if (is_new) continue;
      Diagnostic &d =
          read_.report(step.id_spot, "duplicate-id", fmt::format("two steps have the id `{}`", step.id));
      d.notes.push_back(fmt::format("the first is in line {}", first->second->id_spot.line));
      d.help = "give one of them an `id` of its own";
    }
  }

  const std::map<std::string, int> &pools_;
  TableReader &read_;
  std::vector<Step> steps_;
};

}  // namespace

std::vector<Step> read_steps(Tree &document, const std::map<std::string, int> &pools, TableReader &reader) {
  return StepReader(pools, reader).read(document);
}

}  // namespace pipes
