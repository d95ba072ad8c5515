// pipe-image image VERB WORD…, pipe-image debug VERB WORD…, pipe-image doctor WORD…: what `pipe` becomes for
// these three.
#include "core/base/error.hpp"
#include "core/cli/completion.hpp"
#include "core/cli/man.hpp"
#include "core/cli/print.hpp"
#include "core/cli/program.hpp"
#include "image/common.hpp"

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
  const char *summary;
  Verbs verbs;
};

int explain(const Group &group) {
  cli::print(
      fmt::format("usage: pipe {0} VERB …\n\n{1}.\n\nverbs:\n{2}\n`pipe {0} VERB --help` explains one.\n",
                  group.name, group.summary, cli::list_text(group.verbs)));
  return static_cast<int>(Exit::done);
}

Group group_of(const Words &words) {
  const std::string name = words.empty() ? "" : words.front();
  if (name == "image")
    return {name, "Looks at images wherever they lie, and looks after the store", image_verbs()};
  if (name == "debug")
    return {name, "Shows how pipe understands what it is given, as JSON and without secrets: for reports",
            debug_verbs()};
  throw Error(Exit::usage, "this program belongs to `pipe image`, `pipe debug` and `pipe doctor`");
}

int run_verb(const Verb &verb, const Words &words) {
  try {
    return verb.run(words);
  } catch (const sdk::Error &error) {
    throw Error(Exit::step_failed, error.message, error.hint);
  }
}

/// `--complete WORD…`: what could stand in the place of the last word behind `pipe GROUP`.
int complete(Verbs verbs, const std::string &group, Words words) {
  cli::Completions found;
  const std::string typed = words.empty() ? "" : words.back(), stem = cli::split_value(words);
  const std::string word = words.empty() ? "" : words.back();
  if (words.size() < 2 && group != kDoctor.name) {
    found = cli::complete_verb(verbs);
  } else if (const Verb *verb =
                 group == kDoctor.name ? &kDoctor : cli::find_verb(verbs, group + " " + words.front())) {
    const std::vector<Option> options = verb->options();
    const std::string usage = verb->usage;
    if (const Option *open = cli::open_option(options, words, !stem.empty())) {
      found = cli::complete_value(*open);
    } else if (word.starts_with('-')) {
      found = cli::complete_name(options);
    } else if (stem.empty()) {
      if (usage.starts_with("NAME"))
        for (const std::string &name : oci::Store::names(oci::Store::default_path()))
          found.add(familiar(name));
      if (usage.find("FILE") != std::string::npos) found.files.emplace();
    }
  }
  cli::prepend(found, stem);
  cli::print_completions(found, typed);
  return static_cast<int>(Exit::done);
}

int doctor(const Words &words) {
  if (!words.empty() && words.front() == "--complete")
    return complete({}, kDoctor.name, {words.begin() + 1, words.end()});
  if (words.size() != 2 || words.front() != "--man") return run_verb(kDoctor, words);
  cli::write_man_page(words.back(), kDoctor);
  return static_cast<int>(Exit::done);
}

int run(Words words) {
  if (!words.empty() && words.front() == kDoctor.name) return doctor({words.begin() + 1, words.end()});
  const Group group = group_of(words);
  words.erase(words.begin());
  if (words.empty()) return explain(group), static_cast<int>(Exit::usage);
  if (words.front() == "--complete")
    return complete(group.verbs, group.name, {words.begin() + 1, words.end()});
  if (words.size() == 2 && words.front() == "--man") {
    cli::write_man_pages(words.back(), {"pipe " + group.name, group.summary, ""}, group.verbs);
    return static_cast<int>(Exit::done);
  }
  if (words.front() == "--help" || words.front() == "-h") return explain(group);
  const std::string name = group.name + " " + words.front();
  words.erase(words.begin());
  const Verb *verb = cli::find_verb(group.verbs, name);
  if (verb == nullptr) cli::reject_verb(group.verbs, name, "pipe help " + group.name);
  return run_verb(*verb, words);
}

}  // namespace
}  // namespace pipes::image

int main(int argc, char **argv) {
  return pipes::cli::run_program(argc, argv, pipes::image::run);
}
