#include "core/plan/expand.hpp"

#include <fmt/core.h>

namespace pipes {
namespace {

class Expander {
 public:
  Expander(Plan::Impl &impl, Diagnostics &diagnostics) : impl_(impl), diagnostics_(diagnostics) {}

  void expand() {
    impl_.instances.resize(impl_.pipeline.steps.size());
    for (std::uint32_t i = 0; i < impl_.pipeline.steps.size(); ++i) {
      const Step &step = impl_.pipeline.steps[i];
      if (step.for_each) expand_step(step, impl_.instances[i]);
    }
  }

 private:
  void expand_step(const Step &step, Instances &instances) {
    instances.keyed = instances.is_open = true;
    instances.count = 0;
    const Tree &tree = *step.for_each;
    Evaluated items;
    try {
      items = evaluate(tree, PlanScope(impl_, {}));
    } catch (const EvaluationError &error) {
      diagnostics_.push_back(diagnose(impl_.pipeline.source, error, tree.spot));
    }
    if (items.unknown || items.value.is_null()) return;
    if (items.value.kind() == Value::Kind::map) {
      for (auto &[key, value] : items.value.as_map()) {
        instances.keys.push_back(key);
        instances.values.push_back(std::move(value));
      }
    } else if (items.value.kind() == Value::Kind::list) {
      for (Value &value : items.value.as_list()) {
        if (value.kind() == Value::Kind::list || value.kind() == Value::Kind::map) {
          diagnose_for_each(tree, "the items of for_each are texts or numbers").help =
              "for items with several values write a table: for_each = { key = { … } }";
          return;
        }
        instances.keys.push_back(to_text(value));
        instances.values.push_back(std::move(value));
      }
    } else {
      diagnose_for_each(tree, fmt::format("for_each takes a list or a map, not {}",
                                          with_article(std::string(kind_name(items.value.kind())))));
      return;
    }
    instances.is_open = false;
    instances.by_key.reserve(instances.keys.size());
    for (const std::string &key : instances.keys) {
      const bool is_new = instances.by_key.emplace(key, instances.count).second;
      if (!is_new) {
        const bool has_places = tree.items.size() == instances.keys.size();
        diagnose_for_each(has_places ? tree.items[instances.count] : tree,
                          fmt::format("for_each has {} twice", to_json(Value(key))))
            .help = "each key makes one instance: drop the second";
      }
      ++instances.count;
    }
  }

  Diagnostic &diagnose_for_each(const Tree &tree, std::string message) {
    diagnostics_.push_back(diagnose(impl_.pipeline.source, tree.spot, "for-each", std::move(message)));
    return diagnostics_.back();
  }

  Plan::Impl &impl_;
  Diagnostics &diagnostics_;
};

}  // namespace

void expand_for_each(Plan::Impl &impl, Diagnostics &diagnostics) {
  Expander(impl, diagnostics).expand();
}

}  // namespace pipes
