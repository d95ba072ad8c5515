#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/maintenance.hpp>

namespace pipes::image {
namespace {

std::vector<Option> options() {
  return {{"dry-run", "", "Only say what would be removed"}, wait_option(), output_option()};
}

int run(const Words &words) {
  const auto args = cli::arguments(kGc, words);
  if (!args) return 0;
  const bool json = wants_json(*args), dry_run = args->has("dry-run");
  const std::chrono::milliseconds wait = wait_time(*args);
  words_of(*args, kGc, 0, 0);
  oci::Store store = open_store();
  Watch watch;
  const oci::Garbage garbage = dry_run ? oci::find_garbage(store) : oci::collect_garbage(store, wait, watch);
  if (json) {
    Value::List blobs;
    for (const oci::Digest &digest : garbage.blobs) blobs.emplace_back(digest.str());
    print_json(
        {{"dry_run", dry_run},
         {"blobs", std::move(blobs)},
         {"names", json_of(garbage.names)},
         {"bytes", json_of(garbage.bytes)},
         {"kept", Value::Map{{"blobs", json_of(garbage.kept)}, {"bytes", json_of(garbage.kept_bytes)}}}});
    return 0;
  }
  cli::print(fmt::format("{} {} ({}); {} ({}) belong to images\n", dry_run ? "would free" : "freed",
                         bytes_text(garbage.bytes), counted(garbage.blobs.size(), "blob"),
                         bytes_text(garbage.kept_bytes), counted(garbage.kept, "blob")));
  return 0;
}

}  // namespace

const Verb kGc{
    "image gc",
    "[--dry-run] [--wait TIME] [--output json]",
    "Remove the blobs of the store that no name leads to",
    "Removes the blobs of the store that no name leads to. Safe beside transfers: it waits until no\n"
    "other process uses the store, and changes nothing if that takes too long. Parts of downloads that\n"
    "were broken off stay for a week, so that they can go on.\n\n"
    "  pipe image gc --dry-run",
    options,
    run};

}  // namespace pipes::image
