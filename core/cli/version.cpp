#include "core/cli/print.hpp"
#include "core/cli/verbs.hpp"

namespace pipes::cli {
namespace {

int run(const Words &words) {
  if (!arguments(kVersion, words)) return 0;
  print("pipe " PIPE_VERSION "\n");
  return 0;
}

}  // namespace

const Verb kVersion{
    "version", "", "Print the version", "Prints the version of pipe.", [] { return std::vector<Option>(); },
    run};

}  // namespace pipes::cli
