#include "core/cli/verbs.hpp"

#include <array>

namespace pipes::cli {

Verbs verbs() {
  static constexpr std::array kVerbs{&kRun,    &kPlan,   &kCheck,  &kGraph,      &kStep,  &kDown,
                                     &kRuns,   &kLog,    &kReport, &kPlugins,    &kImage, &kDebug,
                                     &kDoctor, &kExport, &kSchema, &kCompletion, &kHelp,  &kVersion};
  return kVerbs;
}

}  // namespace pipes::cli
