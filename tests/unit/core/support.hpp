#pragma once
// Plans from text, with plugins that exist only as metadata.
#include "core/plan/plan.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace pipes::test {

/// A folder of its own, gone when the test ends.
class TempDir {
 public:
  TempDir() {
    std::string path = (std::filesystem::temp_directory_path() / "pipe-core-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) std::abort();
    path_ = path;
  }
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  ~TempDir() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  const std::filesystem::path &path() const { return path_; }
  std::string write(const std::string &name, const std::string &text) const {
    const std::filesystem::path file = path_ / name;
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

/// An environment variable for the length of a test.
class Environment {
 public:
  Environment(const char *name, const char *value) : name_(name) { ::setenv(name, value, 1); }
  Environment(const Environment &) = delete;
  Environment &operator=(const Environment &) = delete;
  ~Environment() { ::unsetenv(name_); }

 private:
  const char *name_;
};

inline constexpr std::string_view kPlugins = R"([
{"pipe":1,"abi":[1,0],"step":"pull","version":"0.1.0","operations":["plan","run"],
 "params":[{"name":"image","type":"string","required":true,"help":"Image to pull","examples":["registry:3"]},
           {"name":"policy","type":"string","default":"newer","choices":["newer","missing","always","never"]},
           {"name":"fallback","type":"list","item":"string","default":[]},
           {"name":"tries","type":"integer","default":3,"minimum":1,"maximum":10,"aliases":["attempts"]},
           {"name":"wait","type":"duration","default":"2m","minimum":1000},
           {"name":"old","type":"string","deprecated":"use `image`"},
           {"name":"password","type":"string","secret":true}],
 "outputs":[{"name":"image","type":"string"},{"name":"digest","type":"string"},{"name":"size","type":"size"},
            {"name":"took","type":"duration"},{"name":"tags","type":"list","item":"string"}]},
{"pipe":1,"abi":[1,0],"step":"tag","version":"1.2.3","operations":["plan","run","undo"],
 "params":[{"name":"image","type":"string","required":true,"help":"Image to name"},
           {"name":"as","type":"list","item":"string","required":true}],
 "outputs":[{"name":"image","type":"string"},{"name":"digest","type":"string"}]},
{"pipe":1,"abi":[1,0],"step":"run","version":"0.1.0","operations":["plan","run","undo"],
 "params":[{"name":"image","type":"string","required":true},
           {"name":"ports","type":"list","item":"string"},
           {"name":"memory","type":"size"},
           {"name":"env","type":"map","item":"string","secret":true},
           {"name":"labels","type":"map","item":"string"}],
 "outputs":[{"name":"id","type":"string"}]},
{"pipe":1,"abi":[1,0],"step":"shell","version":"0.1.0","operations":["run"],
 "params":[{"name":"run","type":"string"}],
 "outputs":[{"name":"stdout","type":"string"},{"name":"exit_code","type":"integer"}]}
])";

inline PluginRegistry fake_registry() {
  PluginRegistry registry({});
  for (StepSchema &step : parse_metadata(kPlugins)) {
    PluginFile file;
    file.path = "/plugins/pipe-" + step.step + ".so";
    file.steps.push_back(std::move(step));
    registry.add(std::move(file));
  }
  return registry;
}

/// A pipeline file and what comes of it.
class PlanTest : public ::testing::Test {
 protected:
  /// Plans `text`, which stands in the file `p.toml` behind a `schema = 1`.
  void make(const std::string &text, SecretNeed secrets = SecretNeed::needed) {
    make_exactly("schema = 1\n" + text, secrets);
  }
  void make_exactly(const std::string &text, SecretNeed secrets = SecretNeed::needed) {
    file_ = dir_.write("p.toml", text);
    PlanOutcome outcome = make_plan(file_, inputs_, registry_, secrets);
    diagnostics_ = std::move(outcome.diagnostics);
    plan_ = std::move(outcome.plan);
    results_.assign(plan_ ? plan_->nodes.size() : 0, NodeResult());
  }
  /// What `pipe check` prints, with the folder of the file left out.
  std::string human() const {
    std::string text = render_human(diagnostics_, false);
    const std::string folder = dir_.path().string() + "/";
    for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder))
      text.erase(at, folder.size());
    return text;
  }
  /// `line:column id: message` of each, one a line.
  std::string brief() const {
    std::string text;
    for (const Diagnostic &d : diagnostics_) {
      text += std::to_string(d.place.line) + ":" + std::to_string(d.place.column) + " " + d.id + ": " +
              d.message + "\n";
    }
    return text;
  }
  Plan &plan() {
    if (!plan_) throw std::runtime_error("there is no plan:\n" + human());
    return *plan_;
  }
  std::uint32_t index(const std::string &id) {
    for (std::uint32_t i = 0; i < plan().nodes.size(); ++i) {
      if (plan().nodes[i].id == id && !plan().nodes[i].barrier) return i;
    }
    throw std::runtime_error("there is no node " + id);
  }
  NodeResult &result(const std::string &id) { return results_[index(id)]; }
  Plan::Params params(const std::string &id) { return plan().params(index(id), results_, facts_); }
  /// The parameters as JSON.
  std::string values(const std::string &id) { return to_json(params(id).values); }
  /// The ids that a node waits for, barriers resolved.
  std::vector<std::string> needs(const std::string &id) {
    std::vector<std::string> ids;
    std::vector<std::uint32_t> open = plan().nodes[index(id)].needs;
    for (std::size_t i = 0; i < open.size(); ++i) {
      const Node &node = plan().nodes[open[i]];
      if (node.barrier) {
        open.insert(open.end(), node.needs.begin(), node.needs.end());
      } else {
        ids.push_back(node.id);
      }
    }
    return ids;
  }

  TempDir dir_;
  std::string file_;
  Inputs inputs_;
  PluginRegistry registry_ = fake_registry();
  Diagnostics diagnostics_;
  std::optional<Plan> plan_;
  std::vector<NodeResult> results_;
  RunFacts facts_;
};

}  // namespace pipes::test
