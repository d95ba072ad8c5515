#pragma once
// The verbs of `pipe`: each a file of its own in this folder.
#include "core/cli/verb.hpp"

namespace pipes::cli {

extern const Verb kRun, kPlan, kCheck, kStep, kPlugins, kDown, kRuns, kLog, kGraph, kReport, kImage, kDebug,
    kDoctor, kExport, kSchema, kCompletion, kHelp, kVersion;

Verbs verbs();

}  // namespace pipes::cli
