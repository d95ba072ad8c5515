// prune: retention in a registry. Decides by rules which tags stay, says why, and deletes the others.
#include <pipe/oci/params.hpp>
#include <pipe/oci/repositories.hpp>
#include <pipe/parallel.hpp>
#include <pipe/plugin.hpp>
#include <pipe/text.hpp>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "repository.hpp"

namespace {

using namespace pipes::sdk;
namespace oci = pipes::oci;
using prune::Removal;
using prune::Repository;
using prune::Tag;

struct Params : oci::RegistryParams {
  std::string registry, order;
  std::vector<std::string> repositories, tags, keep_tags;
  std::int64_t keep = 0, delete_max = 0;
  std::optional<Duration> keep_within;
};

struct Outputs {
  std::int64_t deleted = 0, kept = 0;
  std::string report;
};

constexpr Schema kPrune{
    "prune", "0.1.0", "Delete the tags of a registry that no rule keeps",
    std::tuple_cat(
        std::tuple{
            field("registry", &Params::registry,
                  {.help = "Registry as host[:port]", .examples = "registry.lan:5000"}),
            field("repositories", &Params::repositories,
                  {.help = "Repositories, by name or by glob (* is any text, also over a /)",
                   .examples = "team/app\nteam/*\n*"}),
            field("tags", &Params::tags,
                  {.help = "Tags that the rules are for, by pattern; all others are kept",
                   .fallback = "[\"*\"]",
                   .examples = "pr-*\n/^[0-9a-f]{7}$/"}),
            field("keep", &Params::keep,
                  {.help = "Keep so many images of each repository, the newest; 0: no such rule",
                   .min = 0,
                   .fallback = "0",
                   .examples = "10"}),
            field("order", &Params::order,
                  {.help = "What `keep` takes for the newest: those that were made last, or those with the "
                           "highest version",
                   .fallback = "\"created\"",
                   .choices = "created version"}),
            field(
                "keep_within", &Params::keep_within,
                {.help = "Keep what was made within this time (annotation org.opencontainers.image.created, "
                         "else `created` of the config); what has no date is kept",
                 .examples = "30d"}),
            field("keep_tags", &Params::keep_tags,
                  {.help = "Keep these tags, by name, pattern or range of versions",
                   .fallback = "[]",
                   .examples = "latest\n/^v[0-9.]+$/\n>=2.0"}),
            field("delete_max", &Params::delete_max,
                  {.help = "Where more tags than this would go, none does and the step fails",
                   .min = 0,
                   .fallback = "100"})},
        oci::kRegistryFields),
    std::tuple{
        field("deleted", &Outputs::deleted, {.help = "Tags that were deleted"}),
        field("kept", &Outputs::kept, {.help = "Tags that stay"}),
        field("report", &Outputs::report,
              {.help = "JSON: an array of objects with repository, tag, digest, created (seconds since "
                       "1970), kept, why"})}};

prune::Rules rules_of(const Params &p) {
  prune::Rules rules;
  for (const std::string &pattern : p.tags) rules.tags.push_back(oci::TagPattern::parse(pattern));
  for (const std::string &pattern : p.keep_tags) rules.keep_tags.push_back(oci::TagPattern::parse(pattern));
  rules.keep = static_cast<std::size_t>(p.keep);
  rules.by_version = p.order == "version";
  rules.keep_within = p.keep_within;
  if (rules.keep == 0 && !rules.keep_within && rules.keep_tags.empty())
    throw Error(PIPE_E_INVALID, "no rule keeps anything: all tags would go",
                "give `keep`, `keep_within` or `keep_tags`");
  if (p.repositories.empty())
    throw Error(PIPE_E_INVALID, "`repositories` is empty",
                "name repositories, as in team/app, or globs: team/*");
  return rules;
}

/// One prune, as `plan` (which changes nothing) or as `run`.
class Prune {
 public:
  Prune(Run &run, const Params &p, bool planning)
      : run_(run),
        p_(p),
        planning_(planning),
        rules_(rules_of(p)),
        registry_(p.registry, p.registry_options(), run) {}

  void go() {
    look();
    if (planning_) show();
    refuse_too_many();
    try {
      if (!planning_) remove();
    } catch (const Error &) {
      tell();
      throw;
    }
    tell();
  }

 private:
  void look() {
    for (const std::string &name : oci::choose_repositories(registry_, p_.repositories)) {
      run_.check_cancelled();
      if (!planning_) registry_.expect_push(name);
      auto &repository = repositories_.emplace_back(std::make_unique<Repository>(registry_, name, run_));
      repository->look(rules_, now_);
      for (const Removal &removal : repository->removals()) going_ += removal.tags.size();
    }
    if (repositories_.empty())
      run_.warn(fmt::format("{} has no repository like {}", p_.registry, fmt::join(p_.repositories, ", ")));
  }

  /// Each tag of the repositories where some go.
  void show() {
    for (const auto &repository : repositories_) {
      if (repository->removals().empty()) continue;
      for (const Tag &tag : repository->tags()) {
        std::string now = tag.image.digest.brief();
        if (tag.created) now += ", " + prune::age_text(now_ - *tag.created) + " old";
        run_.diff(full_name(*repository, tag.name), now,
                  tag.kept_because.empty() ? "deleted" : "stays: " + tag.kept_because);
      }
    }
  }

  void refuse_too_many() const {
    if (going_ <= static_cast<std::size_t>(p_.delete_max)) return;
    std::string names;
    std::size_t shown = 0;
    for (const auto &repository : repositories_)
      for (const Removal &removal : repository->removals())
        for (const std::string &tag : removal.tags)
          if (++shown <= kShown) names += "\n" + full_name(*repository, tag);
    if (shown > kShown) names += fmt::format("\nand {} more", shown - kShown);
    throw Error(PIPE_E_DENIED,
                fmt::format("{} would be deleted, more than delete_max = {}: nothing is{}",
                            count_text(going_, "tag"), p_.delete_max, names),
                "see by `pipe plan` whether the rules keep what they should; if all of this is to go, raise "
                "delete_max");
  }

  void remove() {
    for (const auto &repository : repositories_)
      repository->remove([&](const Removal &removal) {
        deleted_ += removal.tags.size();
        for (const std::string &tag : removal.tags) {
          gone_.insert(full_name(*repository, tag));
          run_.info(full_name(*repository, tag) + " deleted");
        }
        run_.progress({.done = deleted_, .total = going_, .bytes = false, .label = "deleting"});
      });
  }

  std::string full_name(const Repository &repository, const std::string &tag) const {
    return fmt::format("{}/{}:{}", p_.registry, repository.name(), tag);
  }

  void tell() {
    auto report = nlohmann::ordered_json::array();
    std::size_t kept = 0;
    for (const auto &repository : repositories_)
      for (const Tag &tag : repository->tags()) {
        const bool goes =
            planning_ ? tag.kept_because.empty() : gone_.contains(full_name(*repository, tag.name));
        kept += goes ? 0 : 1;
        nlohmann::ordered_json entry{
            {"repository", repository->name()}, {"tag", tag.name}, {"digest", tag.image.digest.str()}};
        if (tag.created) entry["created"] = *tag.created;
        entry["kept"] = !goes;
        entry["why"] = goes                       ? "no rule keeps it"
                       : tag.kept_because.empty() ? "not deleted"
                                                  : tag.kept_because;
        report.push_back(std::move(entry));
      }
    const std::size_t count = planning_ ? going_ : deleted_;
    run_.output("deleted", static_cast<std::int64_t>(count));
    run_.output("kept", static_cast<std::int64_t>(kept));
    run_.output("report", report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    if (count == 0)
      return run_.verdict(Verdict::up_to_date,
                          fmt::format("nothing to delete, {} kept", count_text(kept, "tag")));
    run_.verdict(Verdict::remove,
                 fmt::format("{} {}deleted, {} kept{}", count_text(count, "tag"), planning_ ? "to be " : "",
                             kept, planning_ ? "" : "; a garbage collection frees their space"));
  }

  static constexpr std::size_t kShown = 20;

  Run &run_;
  const Params &p_;
  const bool planning_;
  const prune::Rules rules_;
  oci::Registry registry_;
  const std::int64_t now_ = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::vector<std::unique_ptr<Repository>> repositories_;
  std::size_t going_ = 0, deleted_ = 0;
  std::set<std::string> gone_;
};

void plan(Run &run, const Params &p) {
  Prune(run, p, true).go();
}
void prune_registry(Run &run, const Params &p) {
  Prune(run, p, false).go();
}

}  // namespace

PIPE_PLUGIN(kPrune, Params, plan, prune_registry, nullptr);
