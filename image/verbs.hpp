#pragma once
// The verbs of this program: each of `pipe image` a file of its own here, those of `pipe debug` in one, and
// `pipe doctor`.
#include "core/cli/verb.hpp"

namespace pipes::image {

using cli::Arguments;
using cli::Option;
using cli::Verb;
using cli::Verbs;
using cli::Words;

extern const Verb kLs, kInspect, kTags, kRm, kGc, kFsck, kExport, kImport;
extern const Verb kRef, kPlatform, kDigest, kChallenge, kAuth, kManifest;
extern const Verb kDoctor;

Verbs image_verbs();
Verbs debug_verbs();

}  // namespace pipes::image
