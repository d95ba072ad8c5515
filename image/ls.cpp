#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/inspect.hpp>

#include <algorithm>
#include <array>

namespace pipes::image {
namespace {

using Row = std::array<std::string, 4>;

void print_table(const std::vector<Row> &rows) {
  std::array<std::size_t, 3> widest{};
  for (const Row &row : rows)
    for (std::size_t i = 0; i < widest.size(); ++i) widest[i] = std::max(widest[i], width(row[i]));
  std::string text;
  for (const Row &row : rows) {
    for (std::size_t i = 0; i < widest.size(); ++i)
      text += row[i] + std::string(widest[i] - width(row[i]) + 2, ' ');
    text += row.back() + "\n";
  }
  cli::print(text);
}

std::string platforms_text(const oci::StoreEntry &entry) {
  if (!entry.problem.empty()) return "broken: `pipe image fsck` says more";
  if (entry.attached_to) return "belongs to " + entry.attached_to->brief();
  if (entry.absent.empty()) return joined(entry.platforms);
  return fmt::format("{} ({} more elsewhere)", joined(entry.platforms), entry.absent.size());
}

Value::Map json_of_entry(const oci::StoreEntry &entry) {
  Value::Map map{{"name", entry.image.name},
                 {"digest", entry.image.descriptor.digest.str()},
                 {"media_type", entry.image.descriptor.media_type},
                 {"size_on_disk", json_of(entry.bytes)},
                 {"platforms", json_of(entry.platforms)},
                 {"platforms_elsewhere", json_of(entry.absent)}};
  if (entry.attached_to) map.emplace_back("attached_to", entry.attached_to->str());
  if (!entry.problem.empty()) map.emplace_back("problem", entry.problem);
  return map;
}

int run(const Words &words) {
  const auto args = cli::arguments(kLs, words);
  if (!args) return 0;
  const bool json = wants_json(*args);
  words_of(*args, kLs, 0, 0);
  std::vector<oci::StoreEntry> entries;
  const std::filesystem::path path = oci::Store::default_path();
  if (oci::Store::exists(path)) entries = oci::list_store(oci::Store(path));
  if (json) {
    Value::List images;
    for (const oci::StoreEntry &entry : entries) images.emplace_back(json_of_entry(entry));
    print_json({{"store", path.string()}, {"images", std::move(images)}});
    return 0;
  }
  if (entries.empty()) {
    cli::print_error(fmt::format("there is no image in the store {}\n", path.string()));
    return 0;
  }
  std::vector<Row> rows{{"NAME", "DIGEST", "SIZE", "PLATFORMS"}};
  for (const oci::StoreEntry &entry : entries)
    rows.push_back({printable(familiar(entry.image.name)), entry.image.descriptor.digest.brief(),
                    bytes_text(entry.bytes), printable(platforms_text(entry))});
  print_table(rows);
  return 0;
}

}  // namespace

const Verb kLs{
    "image ls",
    "[--output json]",
    "List the images of the store",
    "Lists the names of the store with digest, size on disk and platforms. What two images share counts\n"
    "for both of them. JSON has the whole names and digests.\n\n"
    "  pipe image ls --output json",
    [] { return std::vector<Option>{output_option()}; },
    run};

}  // namespace pipes::image
