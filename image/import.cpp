#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/naming.hpp>

#include <array>
#include <filesystem>

namespace pipes::image {
namespace {

/// A path, or one of the names that have a file or a folder in them.
oci::ImageName source_of(const std::string &text) {
  constexpr std::array kTransports{"oci:", "oci-archive:", "docker-archive:"};
  for (const std::string_view transport : kTransports)
    if (text.starts_with(transport)) return usage([&] { return oci::ImageName::parse(text); });
  oci::ImageName name;
  name.kind = std::filesystem::is_directory(text) ? oci::ImageName::Kind::oci_layout
                                                  : oci::ImageName::Kind::oci_archive;
  name.path = text;
  return name;
}

/// A name with a tag; others in archives ("latest") are no names that mean anything elsewhere.
std::optional<std::string> usable(const std::string &name) {
  const std::size_t slash = name.rfind('/');
  if (name.find(':', slash == std::string::npos ? 0 : slash) == std::string::npos) return std::nullopt;
  try {
    return oci::store_name(name);
  } catch (const sdk::Error &) {
    return std::nullopt;
  }
}

/// What the image is called where it came from. Whoever made the file must not decide what a name of the
/// store means: one that means another image there is refused.
std::vector<std::string> names_for(const oci::Imported &imported, const oci::Store &store,
                                   const std::string &file) {
  std::vector<std::string> names;
  for (const std::string &inside : imported.names) {
    const std::optional<std::string> name = usable(inside);
    if (!name) continue;
    const std::optional<oci::Descriptor> there = store.resolve(*name);
    if (there && there->digest != imported.image.digest)
      throw Error(
          Exit::step_failed,
          fmt::format("{} calls its image {}, which is another image in the store", file, familiar(*name)),
          fmt::format("say what it shall be called: pipe image import {} NAME", file));
    names.push_back(*name);
  }
  if (names.empty())
    throw Error(Exit::step_failed, fmt::format("the image in {} has no name", file),
                fmt::format("say what it shall be called: pipe image import {} NAME", file));
  return names;
}

int run(const Words &words) {
  const auto args = cli::arguments(kImport, words);
  if (!args) return 0;
  const bool json = wants_json(*args);
  const std::vector<std::string> &given = words_of(*args, kImport, 1, 2);
  std::vector<std::string> names;
  if (given.size() == 2) names.push_back(usage([&] { return oci::store_name(given[1]); }));
  oci::Store store(oci::Store::default_path());
  const oci::Imported imported = oci::import_named(source_of(given[0]), store);
  if (names.empty()) names = names_for(imported, store, given[0]);
  for (const std::string &name : names) store.tag(name, imported.image);
  if (json) {
    print_json({{"names", json_of(names)}, {"digest", imported.image.digest.str()}});
    return 0;
  }
  for (const std::string &name : names)
    cli::print(fmt::format("{} is {}\n", printable(familiar(name)), imported.image.digest.brief()));
  return 0;
}

}  // namespace

const Verb kImport{
    "image import",
    "FILE [NAME]",
    "Read an image from a file into the store",
    "Reads an oci-archive or a docker-archive (docker save), which may be compressed, or the folder of an "
    "OCI\n"
    "layout. Without NAME it gets the name that it has in there, unless that is another image in the store.\n"
    "Of several images, name one: oci-archive:FILE:REF.\n\n"
    "  docker save app:1 -o app.tar && pipe image import app.tar",
    [] { return std::vector<Option>{output_option()}; },
    run};

}  // namespace pipes::image
