// fsck: whether a registry, or a folder with images, has all of its images, and whether they are sound.
#include <pipe/oci/image_check.hpp>
#include <pipe/oci/maintenance.hpp>
#include <pipe/oci/params.hpp>
#include <pipe/oci/repositories.hpp>
#include <pipe/plugin.hpp>
#include <pipe/text.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "registry_check.hpp"

namespace {

using namespace pipes::sdk;
namespace oci = pipes::oci;
using fsck::Broken;
using fsck::Totals;

struct Params : oci::RegistryParams {
  std::optional<std::string> registry;
  std::optional<Path> folder;
  std::vector<std::string> repositories;
  bool content = false;
  std::int64_t min_tags = 0;
};

struct Outputs {
  std::int64_t repositories = 0, tags = 0, manifests = 0, blobs = 0, bytes = 0, broken = 0;
  std::string report;
};

constexpr Schema kFsck{
    "fsck", "0.1.0",
    "Check that a registry, or a backup of one, has all of its images, and that they are sound",
    std::tuple_cat(
        std::tuple{
            field("registry", &Params::registry,
                  {.help = "Registry as host[:port]", .examples = "registry.lan:5000"}),
            field("folder", &Params::folder,
                  {.help = "Instead: a folder with images (an OCI layout). All of it is hashed"}),
            field("repositories", &Params::repositories,
                  {.help = "Repositories of the registry, by name or by glob",
                   .fallback = "[\"*\"]",
                   .examples = "team/app\nteam/*"}),
            field("content", &Params::content,
                  {.help = "Fetch every blob and hash it; without, it is asked whether the registry has "
                           "them, in their size",
                   .fallback = "false"}),
            field("min_tags", &Params::min_tags,
                  {.help = "Fewer tags than these are a failure, such as after a move from where they were "
                           "counted",
                   .min = 0,
                   .fallback = "0"})},
        oci::kRegistryFields),
    std::tuple{field("repositories", &Outputs::repositories, {.help = "Repositories that were looked at"}),
               field("tags", &Outputs::tags, {.help = "Tags (of a folder: names)"}),
               field("manifests", &Outputs::manifests, {.help = "Manifests"}),
               field("blobs", &Outputs::blobs, {.help = "Configs and layers, each once a repository"}),
               field("bytes", &Outputs::bytes, {.help = "Their size"}),
               field("broken", &Outputs::broken, {.help = "Tags that are broken"}),
               field("report", &Outputs::report,
                     {.help = "JSON: an array with an object for each broken tag: repository, tag, digest, "
                              "problems"})}};

constexpr std::size_t kNamed = 20;  // broken tags in the error; the report has all

void check(const Params &p) {
  if (p.registry.has_value() != p.folder.has_value()) return;
  throw Error(PIPE_E_INVALID, "give `registry` or `folder`, one of them");
}

std::string report_json(const std::vector<Broken> &broken) {
  auto report = nlohmann::ordered_json::array();
  for (const Broken &one : broken)
    report.push_back({{"repository", one.repository},
                      {"tag", one.tag},
                      {"digest", one.digest},
                      {"problems", one.problems}});
  // A foreign server's bytes may be in it: what is no UTF-8 is replaced.
  return report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void tell(Run &run, const Totals &totals, const std::vector<Broken> &broken) {
  const auto number = [&](const char *name, std::uint64_t value) {
    run.output(name, static_cast<std::int64_t>(value));
  };
  number("repositories", totals.repositories);
  number("tags", totals.tags);
  number("manifests", totals.manifests);
  number("blobs", totals.blobs);
  number("bytes", totals.bytes);
  number("broken", broken.size());
  run.output("report", report_json(broken));
}

std::string list_of(const std::vector<Broken> &broken) {
  std::string text;
  for (std::size_t i = 0; i < std::min(broken.size(), kNamed); ++i) {
    const Broken &one = broken[i];
    text += "\n" + one.repository + (one.tag.empty() ? "" : ":" + one.tag);
    for (std::size_t k = 0; k < one.problems.size(); ++k) text += (k == 0 ? ": " : ", ") + one.problems[k];
  }
  if (broken.size() > kNamed) text += fmt::format("\nand {} more", broken.size() - kNamed);
  return text;
}

/// That what is left is sound says nothing of what is gone.
void reject_too_few(const Totals &totals, const Params &p) {
  if (static_cast<std::int64_t>(totals.tags) >= p.min_tags) return;
  const std::string &where = p.registry ? *p.registry : p.folder->value;
  throw Error(PIPE_E_MISMATCH,
              fmt::format("{} has {}, and at least {} should be there", where, count_text(totals.tags, "tag"),
                          p.min_tags),
              "does it look for its images where they are (its storage settings, its volume)?");
}

void check_registry(Run &run, const Params &p) {
  oci::Registry registry(*p.registry, p.registry_options(), run);
  fsck::RegistryCheck look(registry, p.content, run);
  const std::vector<std::string> repositories = oci::choose_repositories(registry, p.repositories);
  if (repositories.empty()) run.warn(fmt::format("{} has no such repository", *p.registry));
  std::uint64_t done = 0;
  for (const std::string &repository : repositories) {
    run.check_cancelled();
    try {
      look.look_at(repository);
    } catch (const Error &error) {
      // One whose last tag was deleted stays in the catalogue and may have no list of tags.
      if (error.status != PIPE_E_NOT_FOUND) throw;
      run.info(fmt::format("{}: {}", repository, error.message));
    }
    if (!p.content)
      run.progress({.done = ++done, .total = repositories.size(), .bytes = false, .label = "repositories"});
  }
  const Totals &totals = look.totals();
  const std::vector<Broken> &broken = look.broken();
  tell(run, totals, broken);
  if (!broken.empty()) {
    const bool damaged = std::ranges::any_of(broken, &Broken::damaged);
    throw Error(
        PIPE_E_MISMATCH,
        fmt::format("{} of {} of {} are broken{}", broken.size(), count_text(totals.tags, "tag"), *p.registry,
                    list_of(broken)),
        damaged ? std::string(oci::kDamagedRemedy)
                : "push them again from where they are whole (docker push, skopeo copy): the missing blobs "
                  "are sent, the others are found. If garbage was collected, restart the registry first: it "
                  "keeps blob descriptors in memory");
  }
  reject_too_few(totals, p);
  run.verdict(Verdict::up_to_date,
              fmt::format("{} in {} are {}: {}, {}, {}", count_text(totals.tags, "tag"),
                          totals.repositories == 1 ? "1 repository"
                                                   : fmt::format("{} repositories", totals.repositories),
                          p.content ? "sound" : "complete", count_text(totals.manifests, "manifest"),
                          count_text(totals.blobs, "blob"), bytes_text(totals.bytes)));
}

void check_folder(Run &run, const Params &p) {
  const std::string &folder = p.folder->value;
  if (!std::filesystem::exists(std::filesystem::path(folder) / "oci-layout"))
    throw Error(PIPE_E_NOT_FOUND, folder + " is no folder with images (an OCI layout)", "check the path");
  const oci::StoreCheck found = oci::check_store(oci::Store(folder), run);
  std::vector<Broken> broken;
  for (const oci::StoreFlaw &flaw : found.flaws) {
    const std::string what =
        fmt::format("{} {} {}", flaw.part, flaw.digest.brief(),
                    flaw.kind == oci::StoreFlaw::Kind::missing ? "is missing" : flaw.why);
    for (const oci::StoredImage &image : flaw.images)
      broken.push_back({.repository = image.name,
                        .tag = {},
                        .digest = image.descriptor.digest.str(),
                        .problems = {what},
                        .damaged = flaw.kind != oci::StoreFlaw::Kind::missing});
    if (flaw.images.empty())
      broken.push_back({.repository = folder, .tag = {}, .digest = {}, .problems = {what}});
  }
  const Totals totals{.tags = found.images, .blobs = found.blobs, .bytes = found.bytes};
  tell(run, totals, broken);
  if (!broken.empty())
    throw Error(
        PIPE_E_MISMATCH, fmt::format("{} is damaged{}", folder, list_of(broken)),
        fmt::format("`PIPE_STORE={} pipe image fsck --repair` moves what is damaged out of the way; then "
                    "fill the folder again as before (sync, registry-backup.toml): what is missing, and "
                    "no more, is fetched",
                    folder));
  reject_too_few(totals, p);
  run.verdict(Verdict::up_to_date,
              fmt::format("{} in {} are sound: {}, {}", count_text(found.images, "image"), folder,
                          count_text(found.blobs, "blob"), bytes_text(found.bytes)));
}

void plan(Run &run, const Params &p) {
  check(p);
  run.verdict(Verdict::up_to_date,
              fmt::format("changes nothing; will check {}", p.registry ? *p.registry : p.folder->value));
}

void run(Run &run, const Params &p) {
  check(p);
  p.registry ? check_registry(run, p) : check_folder(run, p);
}

}  // namespace

PIPE_PLUGIN(kFsck, Params, plan, run, nullptr);
