#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/maintenance.hpp>

#include <set>
#include <string>

namespace pipes::image {
namespace {

int run(const Words &words) {
  const auto args = cli::arguments(kRm, words);
  if (!args) return 0;
  const bool json = wants_json(*args);
  const std::vector<std::string> &names = words_of(*args, kRm, 1, 10'000);
  oci::Store store = open_store();
  // All of them, or none: a name that is not there is a mistake.
  std::vector<oci::StoredImage> images;
  for (const std::string &name : names) images.push_back(find_image(store, name));
  std::set<std::string> wanted;
  for (const oci::StoredImage &image : images) wanted.insert(image.name);
  std::set<std::string> gone = store.untag(wanted);
  Value::List removed;
  for (const oci::StoredImage &image : images) {
    if (gone.erase(image.name) == 0) continue;  // named twice, or somebody was faster
    removed.emplace_back(Value::Map{{"name", image.name}, {"digest", image.descriptor.digest.str()}});
    if (!json)
      cli::print(fmt::format("{} {} has lost its name\n", printable(familiar(image.name)),
                             image.descriptor.digest.brief()));
  }
  const oci::Garbage garbage = oci::find_garbage(store);
  if (json) {
    print_json(
        {{"removed", std::move(removed)},
         {"gc", Value::Map{{"blobs", json_of(garbage.blobs.size())}, {"bytes", json_of(garbage.bytes)}}}});
  } else if (garbage.blobs.empty()) {
    cli::print("`pipe image gc` would free nothing: other names lead to all that is there\n");
  } else {
    cli::print(fmt::format("`pipe image gc` would free {} ({})\n", bytes_text(garbage.bytes),
                           counted(garbage.blobs.size(), "blob")));
  }
  return 0;
}

}  // namespace

const Verb kRm{
    "image rm",
    "NAME… [--output json]",
    "Take names out of the store",
    "Takes names out of the store, and says how much `pipe image gc` would free. What the names led to\n"
    "stays until then. A digest means one name that leads to it.\n\n"
    "  pipe image rm app:1 app:2 && pipe image gc",
    [] { return std::vector<Option>{output_option()}; },
    run};

}  // namespace pipes::image
