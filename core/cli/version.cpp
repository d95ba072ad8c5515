#include "core/cli/print.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

int run(const Words &words) {
  const auto args = arguments(kVersion, words);
  if (!args) return 0;
  words_of(*args, kVersion, 0, 0);
  print("pipe " PIPE_VERSION "\n");
  return 0;
}

}  // namespace

const Verb kVersion{
    "version", "", "Print the version", "Prints the version of pipe.", [] { return std::vector<Option>(); },
    run};

}  // namespace pipes::cli
