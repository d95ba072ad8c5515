#pragma once
// Manual pages, made of what the verbs say of themselves.
#include "core/cli/verb.hpp"

#include <filesystem>
#include <string>

namespace pipes::cli {

/// What a page shows for a program or a group of verbs, such as `pipe` and `pipe image`.
struct Overview {
  std::string name;     // "pipe", "pipe image"
  std::string summary;  // one line
  std::string about;    // more; the summary does where there is none
};

/// The page of one verb, in the language of man(7).
std::string man_page(const Verb &);
std::string man_page(const Overview &, Verbs);

void write_man_page(const std::filesystem::path &folder, const Verb &);
/// Writes a page for each verb and one for them all: pipe.1, pipe-run.1 … A verb that has nothing to say
/// is a group, and its own program writes its pages. Throws Error if a file cannot be written.
void write_man_pages(const std::filesystem::path &folder, const Overview &, Verbs);

}  // namespace pipes::cli
