// `pipe completion`: the scripts of the shells, and what they ask.
#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/cli/completion.hpp"
#include "core/cli/image.hpp"
#include "core/cli/print.hpp"
#include "core/cli/session.hpp"
#include "core/cli/step_options.hpp"
#include "core/cli/verbs.hpp"
#include "core/pipeline/pipeline.hpp"
#include "core/report/history.hpp"
#include "core/report/report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

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
    if [[ $line == :files* ]]; then
      compopt -o default 2>/dev/null
    else
      printf -v line %q "${line%%$'\t'*}"
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
  local line stem files=
  local -a found
  for line in "${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files* ]]; then
      files=1 stem=${line#:files}
    elif [[ -n $line ]]; then
      found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    fi
  done
  (( ! ${#found} )) || _describe -V pipe found
  [[ -z $files ]] || { compset -P "${(b)stem}"; _files }
}
if [[ ${funcstack[1]} == _pipe ]]; then _pipe "$@"; else compdef _pipe pipe; fi
)sh";

constexpr const char *kFish = R"sh(# pipe completion fish >~/.config/fish/completions/pipe.fish
function __pipe_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] completion words $words[2..-1] "$current" 2>/dev/null)
    if string match -q ':files*' -- $line
      set -l stem (string replace ':files' '' -- $line)
      for path in (__fish_complete_path (string replace -- "$stem" '' "$current"))
        printf '%s\n' "$stem$path"
      end
    else
      printf '%s\n' $line
    end
  end
end
complete -c pipe -f -a '(__pipe_complete)'
)sh";

const std::map<std::string, const char *> kScripts{{"bash", kBash}, {"fish", kFish}, {"zsh", kZsh}};

/// The pipeline file that is named, if there is one.
std::optional<Pipeline> pipeline_of(const Words &plain) {
  for (const std::string &word : plain) {
    std::error_code error;
    const std::string file = pipeline_file(word);
    if (!std::filesystem::is_regular_file(file, error)) continue;
    Diagnostics ignored;
    return read_pipeline(Source::read(file), ignored);
  }
  return std::nullopt;
}

/// `NAME=`, and the values of a variable that has a choice.
Completions complete_set(const std::string &word, const Words &plain) {
  Completions found;
  const std::optional<Pipeline> pipeline = pipeline_of(plain);
  if (!pipeline) return found;
  for (const Variable &variable : pipeline->variables) {
    const Param &param = variable.param;
    const std::string set = param.name + "=";
    if (!word.starts_with(set)) {
      found.add(set, param.help);
    } else if (param.type == Type::boolean) {
      for (const char *value : {"true", "false"}) found.add(set + value);
    } else {
      for (const std::string &choice : param.choices) found.add(set + choice);
    }
  }
  return found;
}

/// `html=`, then a file.
Completions complete_report(const std::string &word) {
  Completions found;
  const std::size_t equals = word.find('=');
  if (equals != std::string::npos) {
    found.files = word.substr(0, equals + 1);
  } else {
    for (const std::string &kind : report_kinds()) found.add(kind + "=");
  }
  return found;
}

/// The value of an option; `plain` are the words that belong to none.
Completions complete_option(const Option &option, const std::string &word, const Words &plain) {
  if (option.name == "set") return complete_set(word, plain);
  if (option.name == "report") return complete_report(word);
  if (option.argument == "IMAGE") become_image_names(word);
  if (option.argument != "STEP") return complete_value(option);
  Completions found;
  if (const std::optional<Pipeline> pipeline = pipeline_of(plain)) {
    for (const Step &step : pipeline->steps) found.add(step.id, step.uses);
  }
  return found;
}

Completions step_names() {
  Completions found;
  PluginRegistry plugins = registry(std::vector<std::string>{});
  for (const PluginFile &file : plugins.all()) {
    if (file.shadowed) continue;
    for (const StepSchema &step : file.steps) found.add(step.step, step.help);
  }
  return found;
}

/// All that `pipe step NAME` takes.
std::vector<Option> options_of_step(const std::string &name) {
  PluginRegistry plugins = registry(std::vector<std::string>{});
  const StepSchema *schema = plugins.find(name).schema;
  if (schema == nullptr) return {};
  std::vector<Option> options = step_options(*schema, kStep.options());
  for (const Param &param : schema->params) {
    std::string dashed = param.name;
    std::ranges::replace(dashed, '_', '-');
    const auto option = std::ranges::find(options, dashed, &Option::name);
    if (option != options.end()) option->choices = param.choices;
  }
  for (const Option &option : kStep.options()) options.push_back(option);
  return options;
}

Completions run_ids() {
  Completions found;
  found.add("last", "The newest");
  for (const auto &folder : run_folders()) found.add(folder.filename().string());
  return found;
}

Completions pipelines_with_runs() {
  std::set<std::string> names;
  for (const auto &folder : run_folders()) names.insert(pipeline_part(folder.filename().string()));
  Completions found;
  for (const std::string &name : names) found.add(name);
  return found;
}

Completions steps_of_run(const std::string &run) {
  Completions found;
  for (const Value &step : announced_steps(find_run(run))) {
    const Value *id = step.find("id"), *uses = step.find("uses");
    if (id != nullptr) found.add(to_text(*id), uses == nullptr ? "" : to_text(*uses));
  }
  return found;
}

/// A word that belongs to no option; `before` are those of its kind that stand there already.
Completions complete_plain(const Verb &verb, const Words &before, bool resumes) {
  const std::string name = verb.name;
  Completions found;
  if (name == "step") return before.empty() ? step_names() : found;
  if (name == "log" && before.size() == 1) return steps_of_run(before.front());
  if (name == "log" || name == "report" || resumes) {
    if (before.empty()) found = run_ids();
    if (resumes) found.files.emplace();
  } else if (name == "runs") {
    if (before.empty()) found = pipelines_with_runs();
  } else if (name == "plugins" && before.empty()) {
    found.add("list", "List every plugin");
    found.add("show", "Show the parameters of a step");
  } else if (name == "plugins") {
    if (before == Words{"show"}) found = step_names();
  } else if (name == "completion" && before.empty()) {
    for (const auto &[shell, script] : kScripts) found.add(shell);
  } else if (name == "export" && before.empty()) {
    found.add("github", "A workflow of GitHub Actions");
    found.add("gitlab", "A job of GitLab CI");
  } else if (std::string(verb.usage).find("FILE") != std::string::npos) {
    found.files.emplace();
  }
  return found;
}

/// Whether only a name of the store fits: then what is slow to load need not be asked.
bool names_an_image(const Words &words) {
  if (words.size() != 3 || words[2].starts_with('-')) return false;
  return words[1] == "inspect" || words[1] == "rm" || words[1] == "export";
}

/// What could stand in the place of the last word behind `pipe`.
Completions completions(Words words) {
  if (words.size() < 2) return complete_verb(verbs());
  if (words.front() == "help") {
    if (words.size() == 2) return complete_verb(verbs());
    words.erase(words.begin());  // `help step NAME`, `help image VERB`
    if (words.front() != "step" && words.front() != "image" && words.front() != "debug") return {};
  }
  const std::string verb_name = words.front();
  if (verb_name == "image" && names_an_image(words)) become_image_names(words.back());
  if (verb_name == "image" || verb_name == "debug" || verb_name == "doctor") {
    words.front() = "--complete";
    become_image_program(verb_name, words);
  }
  const Verb *verb = find_verb(verbs(), verb_name);
  if (verb == nullptr) return {};
  const std::string stem = split_value(words);
  const bool is_of_step = verb_name == "step" && words.size() > 2;
  const std::vector<Option> options = is_of_step ? options_of_step(words[1]) : verb->options();
  const Words plain = plain_words(options, words);
  Completions found;
  if (const Option *open = open_option(options, words, !stem.empty())) {
    found = complete_option(*open, words.back(), plain);
  } else if (!stem.empty()) {
    return {};
  } else if (words.back().starts_with('-') || is_of_step) {
    if (!options.empty()) found = complete_name(options);
  } else {
    found = complete_plain(*verb, plain, std::ranges::find(words, "--resume") != words.end());
  }
  prepend(found, stem);
  return found;
}

int run(const Words &words) {
  if (!words.empty() && words.front() == "words") {
    const Words typed(words.begin() + 1, words.end());
    try {
      print_completions(completions(typed), typed.empty() ? "" : typed.back());
    } catch (const Error &) {
      // What is wrong is said when the line is run; a shell that asks wants words, or none.
    }
    return 0;
  }
  const auto args = arguments(kCompletion, words);
  if (!args) return 0;
  const auto script = args->words().size() == 1 ? kScripts.find(args->words().front()) : kScripts.end();
  if (script == kScripts.end()) {
    std::vector<std::string> shells;
    for (const auto &[shell, text] : kScripts) shells.push_back(shell);
    const std::string close = args->words().empty() ? "" : did_you_mean(args->words().front(), shells);
    throw Error(Exit::usage, "which shell?",
                close.empty() ? "usage: pipe completion bash, fish or zsh" : close);
  }
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
    "  mkdir -p ~/.config/fish/completions\n"
    "  pipe completion fish >~/.config/fish/completions/pipe.fish\n"
    "  pipe completion zsh >\"${fpath[1]}/_pipe\"",
    [] { return std::vector<Option>(); },
    run};

}  // namespace pipes::cli
