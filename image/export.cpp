#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/inspect.hpp>

#include <filesystem>

namespace pipes::image {
namespace {

std::vector<Option> options() {
  return {{"format", "FORM", "oci (default) or docker, as `docker load` takes it", false, {"oci", "docker"}},
          {"platform", "PLATFORM", "One of several: linux/arm64 (docker: this machine's, if none is named)"},
          output_option()};
}

int run(const Words &words) {
  const auto args = cli::arguments(kExport, words);
  if (!args) return 0;
  const bool json = wants_json(*args);
  const std::string format = args->value("format").value_or("oci");
  const std::vector<std::string> &given = words_of(*args, kExport, 2, 2);
  const oci::Store store = open_store();
  const oci::StoredImage image = find_image(store, given[0]);
  const std::filesystem::path file = given[1];

  oci::Descriptor part = image.descriptor;
  const std::optional<std::string> platform = args->value("platform");
  const oci::Platform wanted =
      platform ? usage([&] { return oci::Platform::parse(*platform); }) : oci::Platform::host();
  oci::Manifest manifest = store.manifest(part);
  while (manifest.is_index() && (platform || format == "docker")) {
    part = oci::select_platform(manifest, wanted);
    manifest = store.manifest(part);
  }
  // Of an image that is no entry of an index its config says what it is for.
  if (platform) {
    const oci::Inspection found = oci::inspect(store, part, {});
    const std::string misfit = wanted.misfit(familiar(image.name), found.images.front().platform);
    if (!misfit.empty()) throw Error(Exit::step_failed, misfit);
  }
  if (format == "docker")
    oci::export_docker_archive(store, part, {image.name}, file);
  else
    oci::export_oci_archive(store, part, image.name, file);

  const std::uint64_t size = std::filesystem::file_size(file);
  if (json)
    print_json({{"name", image.name},
                {"digest", part.digest.str()},
                {"file", file.string()},
                {"format", format},
                {"size", json_of(size)}});
  else
    cli::print(fmt::format("{} {} is in {} ({})\n", printable(familiar(image.name)), part.digest.brief(),
                           printable(file.string()), bytes_text(size)));
  return 0;
}

}  // namespace

const Verb kExport{
    "image export",
    "NAME FILE [--format oci|docker] [--platform PLATFORM]",
    "Write an image of the store to a file",
    "Writes an image of the store, with all its platforms, to an oci-archive; or for one platform to a\n"
    "docker-archive. The same image gives the same bytes.\n\n"
    "  pipe image export app:1 app.tar --format docker && docker load -i app.tar",
    options,
    run};

}  // namespace pipes::image
