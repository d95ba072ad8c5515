// pipe-image image VERB WORD…, pipe-image debug VERB WORD…: what `pipe` becomes for these two.
#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/cli/program.hpp"
#include "image/verbs.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>

#include <array>

namespace pipes::image {

Verbs image_verbs() {
  static constexpr std::array kVerbs{&kLs, &kInspect, &kTags, &kRm, &kGc, &kFsck, &kExport, &kImport};
  return kVerbs;
}

Verbs debug_verbs() {
  static constexpr std::array kVerbs{&kRef, &kChallenge, &kAuth, &kPlatform, &kDigest, &kManifest};
  return kVerbs;
}

namespace {

struct Group {
  std::string name;
  const char *about;
  Verbs verbs;
};

int explain(const Group &group) {
  cli::print(
      fmt::format("usage: pipe {0} VERB …\n\n{1}\n\nverbs:\n{2}\n`pipe {0} VERB --help` explains one.\n",
                  group.name, group.about, cli::list_text(group.verbs)));
  return static_cast<int>(Exit::done);
}

Group group_of(const Words &words) {
  const std::string name = words.empty() ? "" : words.front();
  if (name == "image")
    return {name, "Looks at images wherever they lie, and looks after the store.", image_verbs()};
  if (name == "debug")
    return {name, "Shows how pipe understands what it is given, as JSON and without secrets: for reports.",
            debug_verbs()};
  throw Error(Exit::usage, "this program belongs to `pipe image` and `pipe debug`");
}

int run(Words words) {
  const Group group = group_of(words);
  words.erase(words.begin());
  if (words.empty()) return explain(group), static_cast<int>(Exit::usage);
  if (words.front() == "--help" || words.front() == "-h") return explain(group);
  const std::string name = group.name + " " + words.front();
  words.erase(words.begin());
  const Verb *verb = cli::find_verb(group.verbs, name);
  if (verb == nullptr) cli::reject_verb(group.verbs, name, "pipe help " + group.name);
  try {
    return verb->run(words);
  } catch (const sdk::Error &error) {
    throw Error(Exit::step_failed, error.message, error.hint);
  }
}

}  // namespace
}  // namespace pipes::image

int main(int argc, char **argv) {
  return pipes::cli::run_program(argc, argv, pipes::image::run);
}
