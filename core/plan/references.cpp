// What each name in an expression stands for: the part of Binder that knows vars, secrets, steps, each,
// run and pipeline.
#include "core/base/words.hpp"
#include "core/plan/bind.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

namespace pipes {
namespace {

using Kind = Value::Kind;
using Segment = Expression::Segment;

const std::vector<std::string> &roots() {
  static const std::vector<std::string> names{"vars", "secrets", "steps", "each", "run", "pipeline"};
  return names;
}

Kind kind_of(Type type) {
  switch (type) {
    case Type::integer:
    case Type::size:
      return Kind::integer;
    case Type::number:
      return Kind::number;
    case Type::boolean:
      return Kind::boolean;
    case Type::list:
      return Kind::list;
    case Type::map:
      return Kind::map;
    case Type::string:
    case Type::path:
    case Type::duration:
      break;  // a duration reads as text: it needs its unit wherever it goes
  }
  return Kind::string;
}

Known something() {
  Known known;
  known.needs_run = true;
  return known;
}

template <class Range, class Name>
std::vector<std::string> names_of(const Range &range, Name name) {
  std::vector<std::string> names;
  for (const auto &item : range) names.push_back(name(item));
  return names;
}

}  // namespace

std::string Binder::suggest_step(std::string_view id) {
  return suggest(id, names_of(pipeline_.steps, [](const Step &step) { return step.id; }));
}

Known Binder::reference(Expression &e, const Here &here) {
  const Segment &root = e.segments.front();
  if (root.name == "vars") return variable(e, here);
  if (root.name == "secrets") return secret(e, here);
  if (root.name == "steps") return step_output(e, here);
  if (root.name == "each") return each(e, here);
  if (root.name == "run") return run(e, here);
  if (root.name == "pipeline") return pipeline_fact(e, here);
  Diagnostic &d =
      report(here, root.begin, root.end, "unknown-name", fmt::format("`{}` names nothing here", root.name));
  d.notes.push_back("names begin with one of: " + joined(roots()));
  const auto is_known = [&](const Names &names) { return names.contains(root.name); };
  if (root.name == "env") {
    d.help = "an environment variable is read only where a variable names it: [vars.x] env = \"X\"";
  } else if (is_known(variables_)) {
    d.help = fmt::format("did you mean `vars.{}`?", root.name);
  } else if (is_known(steps_)) {
    d.help = fmt::format("did you mean `steps.{}`?", root.name);
  } else {
    d.help = suggest(root.name, roots());
  }
  return something();
}

const Segment *Binder::name_at(const Expression &e, std::size_t index, std::string_view what,
                               const Here &here) {
  if (index < e.segments.size() && e.segments[index].kind == Segment::Kind::name) return &e.segments[index];
  const Segment &before = e.segments[std::min(index, e.segments.size()) - 1];
  report(here, before.begin, before.end, "unknown-name",
         fmt::format("expected the name of {} after `{}`", what, before.name));
  return nullptr;
}

Known Binder::variable(Expression &e, const Here &here) {
  const Segment *name = name_at(e, 1, "a variable", here);
  if (name == nullptr) return something();
  const auto found = variables_.find(name->name);
  if (found == variables_.end()) {
    Diagnostic &d = report(here, name->begin, name->end, "unknown-name",
                           fmt::format("there is no variable `{}`", name->name));
    d.help =
        suggest(name->name, names_of(pipeline_.variables, [](const Variable &v) { return v.param.name; }));
    if (d.help.empty()) d.help = fmt::format("declare it: [vars.{}]", name->name);
    return something();
  }
  e.reference.root = Reference::Root::variable;
  e.reference.index = found->second;
  Known known;
  const Type type = pipeline_.variables[found->second].param.type;
  known.kind = kind_of(type);
  return members(e, 2, known, here);
}

Known Binder::secret(Expression &e, const Here &here) {
  const Segment *name = name_at(e, 1, "a secret", here);
  if (name == nullptr) return something();
  const auto found = secrets_.find(name->name);
  if (found == secrets_.end()) {
    Diagnostic &d = report(here, name->begin, name->end, "unknown-name",
                           fmt::format("there is no secret `{}`", name->name));
    d.help =
        suggest(name->name, names_of(pipeline_.secrets, [](const SecretDeclaration &s) { return s.name; }));
    if (d.help.empty()) d.help = fmt::format("declare it: [secrets.{}]", name->name);
    return something();
  }
  if (here.context.kind != Context::Kind::parameter) {
    report(here, e.begin, e.end, "secret-leak", "a secret may not be used here: it would show").help =
        "a secret may only go to a parameter that takes one";
  }
  e.reference.root = Reference::Root::secret;
  e.reference.index = found->second;
  wanted_secrets[found->second] = true;
  Known known;
  known.kind = Kind::string;
  known.secret = spot(here, e.begin, e.end);
  return members(e, 2, known, here);
}

Known Binder::instance_key(Expression &e, const Here &here) {
  Expression &key = e.arguments[e.segments[2].argument];
  Known known = expression(key, here);
  if (known.needs_run) {
    report(here, key.begin, key.end, "late-key", "which instance is meant must be known before anything runs")
        .help = "use each.key, a variable or a text in quotes";
  }
  return known;
}

Known Binder::step_output(Expression &e, const Here &here) {
  if (here.context.kind == Context::Kind::for_each) {
    report(here, e.begin, e.end, "late-for-each",
           "for_each must be known before anything runs; an output is not")
        .help = "use a variable or a list";
    return something();
  }
  const Segment *name = name_at(e, 1, "a step", here);
  if (name == nullptr) return something();
  const auto found = find_step(name->name);
  if (!found) {
    Diagnostic &d = report(here, name->begin, name->end, "unknown-step",
                           fmt::format("there is no step `{}`", name->name));
    d.help = suggest_step(name->name);
    return something();
  }
  const Step &step = pipeline_.steps[*found];
  const bool from_outputs = here.context.kind == Context::Kind::outputs;
  if (step.finally && (from_outputs || !pipeline_.steps[here.context.step].finally)) {
    report(here, name->begin, name->end, "late-step",
           fmt::format("step `{}` is in [[finally]], which runs after this", step.id));
    return something();
  }
  Known known = something();
  std::size_t next = 2;
  StepUse use{*found, nullptr, spot(here, e.begin, e.end)};
  const bool has_key = e.segments.size() > 2 && e.segments[2].kind != Segment::Kind::name;
  if (has_key) {
    next = 3;
    if (!step.for_each) {
      report(here, e.segments[2].begin, e.segments[2].end, "no-instances",
             fmt::format("step `{}` has no for_each, and so no instances to choose from", step.id));
      return known;
    }
    const bool is_all = e.segments[2].kind == Segment::Kind::all;
    e.reference.instances = is_all ? Reference::Instances::all : Reference::Instances::one;
    if (!is_all) {
      const Known key = instance_key(e, here);
      known.needs_each = key.needs_each;
      known.secret = key.secret;
      use.key = &e.arguments[e.segments[2].argument];
    }
  } else if (step.for_each) {
    Diagnostic &d = report(here, name->begin, name->end, "which-instance",
                           fmt::format("step `{}` has for_each: say which of its instances", step.id));
    d.help = fmt::format(
        "steps.{0}[each.key].… for the one of the same key, steps.{0}[*].… for a list of all", step.id);
    return known;
  }
  const Segment *output = name_at(e, next, "an output", here);
  if (output == nullptr) return known;
  e.reference.root = Reference::Root::step;
  e.reference.index = *found;
  e.reference.output = output->name;
  uses.push_back(use);
  if (const StepSchema *schema = schemas_[*found]) {
    const Output *declared = schema->output(output->name);
    if (declared == nullptr) {
      const auto by_name = [](const Output &o) { return o.name; };
      const bool is_outputs = from_outputs;
      const std::string reader =
          is_outputs ? "[outputs]" : fmt::format("step `{}`", pipeline_.steps[here.context.step].id);
      Diagnostic &d = report(
          here, output->begin, output->end, "unknown-output",
          fmt::format("{} reads output `{}`, which `{}` does not produce", reader, output->name, step.uses));
      d.label = "no such output";
      const std::string outputs = joined(names_of(schema->outputs, [](const Output &o) {
        return fmt::format("{} ({})", o.name, describe_type(o.type, o.item));
      }));
      d.notes.push_back(fmt::format("outputs of {} {}: {}", schema->step, schema->version,
                                    outputs.empty() ? "none" : outputs));
      d.help = suggest(output->name, names_of(schema->outputs, by_name));
      return known;
    }
    known.kind = kind_of(declared->type);
  }
  if (e.reference.instances == Reference::Instances::all) known.kind = Kind::list;
  return members(e, next + 1, known, here);
}

Known Binder::each(Expression &e, const Here &here) {
  const bool has_each = here.context.kind != Context::Kind::for_each &&
                        here.context.kind != Context::Kind::outputs &&
                        pipeline_.steps[here.context.step].for_each;
  if (!has_each) {
    report(here, e.begin, e.end, "unknown-name", "`each` stands only in a step that has for_each").help =
        here.context.kind == Context::Kind::for_each ? "for_each itself cannot use it"
                                                     : "add for_each = [\"…\"] to the step";
    return something();
  }
  const Segment *name = name_at(e, 1, "`key` or `value`", here);
  if (name == nullptr) return something();
  Known known;
  known.needs_each = true;
  if (name->name == "key") {
    e.reference.root = Reference::Root::each_key;
    known.kind = Kind::string;
  } else if (name->name == "value") {
    e.reference.root = Reference::Root::each_value;
  } else {
    report(here, name->begin, name->end, "unknown-name", fmt::format("there is no `each.{}`", name->name))
        .help = "there are each.key and each.value";
    return something();
  }
  return members(e, 2, known, here);
}

Known Binder::run(Expression &e, const Here &here) {
  const Segment *name = name_at(e, 1, "`id` or `status`", here);
  if (name == nullptr) return something();
  if (here.context.kind == Context::Kind::for_each) {
    report(here, e.begin, e.end, "late-for-each", "for_each must be known before anything runs").help =
        "use a variable or a list";
  } else if (name->name == "id") {
    e.reference.root = Reference::Root::run_id;
  } else if (name->name != "status") {
    report(here, name->begin, name->end, "unknown-name", fmt::format("there is no `run.{}`", name->name))
        .help = "there are run.id and run.status";
  } else if (here.context.kind != Context::Kind::outputs && !pipeline_.steps[here.context.step].finally) {
    report(here, name->begin, name->end, "late-status",
           "run.status is known only in [[finally]] and [outputs]");
  } else {
    e.reference.root = Reference::Root::run_status;
  }
  Known known = something();
  known.kind = Kind::string;
  return members(e, 2, known, here);
}

Known Binder::pipeline_fact(Expression &e, const Here &here) {
  static const std::vector<std::string> kFacts{"name", "description", "file", "dir", "down"};
  const Segment *name = name_at(e, 1, "a fact of the pipeline", here);
  if (name == nullptr) return something();
  const std::string &file = pipeline_.source.path();
  e.reference.root = Reference::Root::constant;
  if (name->name == "name") {
    e.reference.constant = pipeline_.name;
  } else if (name->name == "description") {
    e.reference.constant = pipeline_.description;
  } else if (name->name == "file") {
    e.reference.constant = file;
  } else if (name->name == "down") {
    e.reference.root = Reference::Root::down_command;
  } else if (name->name == "dir") {
    e.reference.constant = std::filesystem::absolute(file).lexically_normal().parent_path().string();
  } else {
    Diagnostic &d = report(here, name->begin, name->end, "unknown-name",
                           fmt::format("there is no `pipeline.{}`", name->name));
    d.notes.push_back("there are: " + joined(kFacts));
    d.help = suggest(name->name, kFacts);
    return something();
  }
  Known known;
  known.kind = Kind::string;
  return members(e, 2, known, here);
}

Known Binder::members(Expression &e, std::size_t from, Known known, const Here &here) {
  e.reference.first_member = static_cast<std::uint32_t>(from);
  for (std::size_t i = from; i < e.segments.size(); ++i) {
    const Segment &segment = e.segments[i];
    if (segment.kind == Segment::Kind::all) {
      report(here, segment.begin, segment.end, "no-instances", "`[*]` stands only right behind a step");
      return something();
    }
    if (known.kind && *known.kind != Kind::map && *known.kind != Kind::list) {
      report(here, segment.begin, segment.end, "wrong-type",
             fmt::format("{} has no members", with_article(std::string(kind_name(*known.kind)))));
      return something();
    }
    if (segment.kind == Segment::Kind::index) {
      const Known index = expression(e.arguments[segment.argument], here);
      known.needs_run = known.needs_run || index.needs_run;
      known.needs_each = known.needs_each || index.needs_each;
      if (!known.secret) known.secret = index.secret;
    }
    known.kind.reset();
  }
  return known;
}

}  // namespace pipes
