// `pipe completion`: the scripts of the shells, and what they ask.
#include "core/base/error.hpp"
#include "core/cli/completion.hpp"
#include "core/cli/image.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/step_options.hpp"
#include "core/cli/verbs.hpp"
#include "core/pipeline/pipeline.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace pipes::cli {
namespace {

/// The scripts only carry words. Bash breaks words at `:` and `=`, which names of images are full
/// of, so that this one breaks the line itself.
constexpr const char *kBash = R"sh(# pipe completion bash >/etc/bash_completion.d/pipe
_pipe() {
  local line current prefix= words
  read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
  [[ ${COMP_LINE:COMP_POINT-1:1} != ' ' ]] || words+=('')
  current=${words[-1]}
  if [[ $current == *[:=]* ]]; then prefix=${current%"${current##*[:=]}"}; fi
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default 2>/dev/null
    else
      line=${line%%$'\t'*}
      COMPREPLY+=("${line#"$prefix"}")
      [[ $line != *= ]] || compopt -o nospace 2>/dev/null
    fi
  done < <("${words[0]}" completion words "${words[@]:1}" 2>/dev/null)
}
complete -F _pipe pipe
)sh";

constexpr const char *kZsh = R"sh(#compdef pipe
# pipe completion zsh >"${fpath[1]}/_pipe"
_pipe() {
  local line files=
  local -a found
  for line in "${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then
      files=1
    elif [[ -n $line ]]; then
      found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    fi
  done
  (( ! ${#found} )) || _describe -V pipe found
  [[ -z $files ]] || _files
}
if [[ ${funcstack[1]} == _pipe ]]; then _pipe "$@"; else compdef _pipe pipe; fi
)sh";

constexpr const char *kFish = R"sh(# pipe completion fish >~/.config/fish/completions/pipe.fish
function __pipe_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] completion words $words[2..-1] "$current" 2>/dev/null)
    if test "$line" = :files
      __fish_complete_path "$current"
    else
      printf '%s\n' $line
    end
  end
end
complete -c pipe -f -a '(__pipe_complete)'
)sh";

const std::map<std::string, const char *> kScripts{{"bash", kBash}, {"fish", kFish}, {"zsh", kZsh}};

/// The pipeline file that the words name, if there is one.
std::optional<Pipeline> pipeline_of(const Words &words) {
  for (const std::string &word : words) {
    std::error_code error;
    if (word.starts_with('-') || !std::filesystem::is_regular_file(word, error)) continue;
    Diagnostics ignored;
    return read_pipeline(Source::read(word), ignored);
  }
  return std::nullopt;
}

/// What the options mean that are about a pipeline; nullopt: it is another.
std::optional<Completions> complete_of_pipeline(const Option &option, const Words &words) {
  const bool sets = option.name == "set";
  if (!sets && option.argument != "STEP") return std::nullopt;
  Completions found;
  const std::optional<Pipeline> pipeline = pipeline_of(words);
  if (!pipeline) return found;
  if (sets) {
    for (const Variable &variable : pipeline->variables)
      found.add(variable.param.name + "=", variable.param.help);
  } else {
    for (const Step &step : pipeline->steps) found.add(step.id, step.uses);
  }
  return found;
}

Completions step_words(const Words &words) {
  PluginRegistry plugins = registry(std::vector<std::string>{});
  Completions found;
  if (words.size() == 2) {
    for (const PluginFile &file : plugins.all()) {
      if (file.shadowed) continue;
      for (const StepSchema &step : file.steps) found.add(step.step, step.help);
    }
    return found;
  }
  const StepSchema *schema = plugins.find(words[1]).schema;
  if (schema == nullptr) return found;
  std::vector<Option> options = step_options(*schema, kStep.options());
  for (const Param &param : schema->params) {
    std::string name = param.name;
    std::ranges::replace(name, '_', '-');
    const auto option = std::ranges::find(options, name, &Option::name);
    if (option != options.end()) option->choices = param.choices;
  }
  for (const Option &option : kStep.options()) options.push_back(option);
  const Option *open = open_option(options, words);
  if (open == nullptr) return complete_name(options);
  if (open->argument == "IMAGE") become_image_program("image", {"--complete", "rm", words.back()});
  return complete_value(*open);
}

Completions plugins_words(const Words &words) {
  Completions found;
  if (words.size() == 2) {
    found.add("list", "List every plugin");
    found.add("show", "Show the parameters of a step");
    return found;
  }
  if (words.size() == 3 && words[1] == "show") return step_words({"step", words.back()});
  return found;
}

Completions completions(const Words &words) {
  if (words.size() < 2) return complete_verb(verbs());
  const std::string &verb_name = words.front(), &word = words.back();
  if (verb_name == "image" || verb_name == "debug" || verb_name == "doctor") {
    Words rest{"--complete"};
    rest.insert(rest.end(), words.begin() + 1, words.end());
    become_image_program(verb_name.c_str(), rest);
  }
  if (verb_name == "help") return complete_verb(verbs());
  const Verb *verb = find_verb(verbs(), verb_name);
  if (verb == nullptr) return {};
  if (verb_name == "step") return step_words(words);
  const std::vector<Option> options = verb->options();
  if (const Option *open = open_option(options, words)) {
    if (const auto found = complete_of_pipeline(*open, words)) return *found;
    return complete_value(*open);
  }
  if (word.starts_with('-')) return complete_name(options);
  if (verb_name == "plugins") return plugins_words(words);
  Completions found;
  if (verb_name == "completion") {
    for (const auto &[shell, script] : kScripts) found.add(shell);
  }
  if (verb_name == "export" && words.size() == 2) {
    found.add("github", "A workflow of GitHub Actions");
    found.add("gitlab", "A job of GitLab CI");
    return found;
  }
  found.files = std::string(verb->usage).find("FILE") != std::string::npos;
  return found;
}

int run(const Words &words) {
  if (!words.empty() && words.front() == "words") {
    const Words typed(words.begin() + 1, words.end());
    print_completions(completions(typed), typed.empty() ? "" : typed.back());
    return 0;
  }
  const auto args = arguments(kCompletion, words);
  if (!args) return 0;
  const auto script = args->words().size() == 1 ? kScripts.find(args->words().front()) : kScripts.end();
  if (script == kScripts.end())
    throw Error(Exit::usage, "which shell?", "usage: pipe completion bash, fish or zsh");
  print(script->second);
  return 0;
}

}  // namespace

const Verb kCompletion{
    "completion",
    "bash | fish | zsh",
    "Print the script that completes words in a shell",
    "Prints a script for a shell, by which it completes verbs, options, steps and their parameters,\n"
    "variables of pipelines, and images of the store.\n\n"
    "  pipe completion bash | sudo tee /etc/bash_completion.d/pipe\n"
    "  pipe completion fish >~/.config/fish/completions/pipe.fish\n"
    "  pipe completion zsh >\"${fpath[1]}/_pipe\"",
    [] { return std::vector<Option>(); },
    run};

}  // namespace pipes::cli
