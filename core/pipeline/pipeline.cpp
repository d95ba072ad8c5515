#include "core/pipeline/pipeline.hpp"

#include "core/base/error.hpp"
#include "core/pipeline/declarations.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

namespace pipes {
namespace {

constexpr std::int64_t kSchema = 1;

class Reader {
 public:
  Reader(const Source &source, Diagnostics &diagnostics) : read_{source, diagnostics} {
    pipeline_.outputs.kind = Tree::Kind::map;
  }

  Pipeline read() {
    pipeline_.name = std::filesystem::path(read_.source.path()).stem().string();
    Tree document;
    try {
      document = read_toml(read_.source);
    } catch (Diagnostic &d) {
      read_.diagnostics.push_back(std::move(d));
      return std::move(pipeline_);
    }
    read_.check_keys(document, "the file", kRootKeys);
    check_schema(document);
    header(document);
    pipeline_.variables = read_variables(document, read_);
    pipeline_.secrets = read_secrets(document, read_);
    pools(document);
    pipeline_.steps = read_steps(document, pipeline_.pools, read_);
    outputs(document);
    return std::move(pipeline_);
  }

 private:
  const std::vector<std::string> kRootKeys{"schema", "pipeline", "vars",    "secrets",
                                           "pools",  "step",     "finally", "outputs"};
  const std::vector<std::string> kPipelineKeys{"name", "description"};
  const Param kPool = make_param("pool", Type::integer, 1);

  void check_schema(const Tree &document) {
    const Tree *schema = document.find("schema");
    if (schema == nullptr) {
      read_.report({1, 1, 1, 1}, "schema", "the file does not say which format it has").help =
          "begin it with `schema = 1`";
      return;
    }
    if (schema->scalar == Value(kSchema)) return;
    read_.report(schema->spot, "schema", "this pipe reads files of `schema = 1`").help =
        "update pipe, or write the file in that format";
  }

  void header(Tree &document) {
    Tree *header = read_.table(document, "pipeline", "[pipeline]");
    if (header == nullptr) return;
    read_.check_keys(*header, "[pipeline]", kPipelineKeys);
    if (header->find("name") != nullptr) {
      const std::string name = read_.text(*header, "name");
      if (!name.empty() && read_.check_name(header->find("name")->spot, "pipeline", name))
        pipeline_.name = name;
    }
    pipeline_.description = read_.text(*header, "description");
  }

  void pools(Tree &document) {
    Tree *pools = read_.table(document, "pools", "[pools]");
    if (pools == nullptr) return;
    for (const Tree::Key &key : pools->keys) {
      Param param = kPool;
      param.name = key.name;
      if (const auto size = read_.field(*pools, param)) {
        pipeline_.pools[key.name] = static_cast<int>(std::min<std::int64_t>(size->as_int(), INT32_MAX));
      }
    }
  }

  void outputs(Tree &document) {
    Tree *outputs = read_.table(document, "outputs", "[outputs]");
    if (outputs == nullptr) return;
    read_templates(*outputs, read_.source, read_.diagnostics);
    pipeline_.outputs = std::move(*outputs);
  }

  TableReader read_;
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
